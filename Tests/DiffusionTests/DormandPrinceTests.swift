import Diffusion
import Foundation
import Testing

@Suite("Adaptive Runge–Kutta")
struct DormandPrinceTests {
  /// The sample at the end, and how often x0 was asked for.
  func run(
    _ levels: [Level], from start: Double, tolerance: Double, _ denoise: Solver.Denoise
  ) throws -> (x: Double, evaluations: Int) {
    var count = 0
    let x = try dormandPrince(
      from: start, through: levels, tolerance: tolerance, level: level(noiseShare:)
    ) {
      count += 1
      return try denoise($0, $1)
    }
    return (x, count)
  }

  @Test(
    "the error is about the tolerance, for Gaussian data and for two components",
    arguments: [1e-3, 1e-5, 1e-7, 1e-9, 1e-11])
  func tolerance(tolerance: Double) throws {
    let levels = [level(angle: .pi / 2), level(angle: 0.05)]
    for start in [-1.4, 0.3, 1.7] {
      for variance in [0.25, 1, 4] {
        let data = GaussianData(mean: 0.6, variance: variance)
        let found = try run(levels, from: start, tolerance: tolerance) { data.denoise($0, $1) }
        // As many steps as there are may each err by the tolerance, and the flow stretches errors.
        expect(
          "s² = \(variance)", found.x, is: data.flow(start, from: levels[0], to: levels[1]),
          within: 10 * tolerance)
      }
      let data = SolverTests.mixture
      let found = try run(levels, from: start, tolerance: tolerance) { data.denoise($0, $1) }
      expect(
        "two components", found.x, is: data.flow(start, from: levels[0], to: levels[1]),
        within: 10 * tolerance)
    }
  }

  @Test("evaluations: one and six a step; 10^(1/5) times as many for a tenth of the tolerance")
  func evaluations() throws {
    let levels = [level(angle: .pi / 2), level(angle: 0.05)]
    let counts = try [1e-4, 1e-9].map { tolerance in
      let found = try run(levels, from: 0.3, tolerance: tolerance) {
        SolverTests.mixture.denoise($0, $1)
      }
      #expect(found.evaluations % 6 == 1)
      return Double(found.evaluations)
    }
    expect("five tenths", counts[1] / counts[0], is: 10, within: 4)
  }

  @Test("pure noise to clean data: y_T s/√v(T), but for the step into clean data")
  func exactMap() throws {
    for variance in [0.25, 1, 4] {
      let data = GaussianData(variance: variance)
      let last = level(angle: 1e-3)
      let found = try run([level(angle: .pi / 2), last, .clean], from: -0.7, tolerance: 1e-10) {
        data.denoise($0, $1)
      }
      // That step is x0 of the last sample: its gain, where the ODE has s/√v.
      let flow = data.flow(-0.7, from: level(angle: .pi / 2), to: last)
      expect("y0", found.x, is: data.gain(at: last) * flow, within: 1e-8)
      expect("y0", found.x, is: -0.7 * variance.squareRoot(), within: 4e-6)
    }
  }

  @Test("only the ends of the levels count; one level with noise is asked once")
  func ends() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: 30)
    func run(_ levels: [Level]) throws -> (x: Double, evaluations: Int) {
      try self.run(levels, from: 0.7, tolerance: 1e-3) { data.denoise($0, $1) }
    }
    let (all, few) = (try run(levels), try run([levels[0], levels[29], .clean]))
    #expect(all.x == few.x && all.evaluations == few.evaluations)
    let one = try run([levels[5], .clean])
    expect("x0", one.x, is: data.denoise(0.7, levels[5]), within: 1e-12)
    #expect(one.evaluations == 1)
    #expect(try run([.clean]).x == 0.7 && run([]).x == 0.7)
  }

  @Test("what has no end ends in an error, and so does a tolerance out of range")
  func refuses() throws {
    let levels = [level(angle: .pi / 2), level(angle: 0.05)]
    let stiff = #expect(throws: DiffusionError.self) {
      // A new number every time: no step is short enough.
      var numbers = NormalNumbers(state: 3)
      return try run(levels, from: 1, tolerance: 1e-6) { _, _ in 1e9 * numbers.next() }
    }
    #expect(stiff?.description.contains("not met in 10000 steps") == true)
    let nan = #expect(throws: DiffusionError.self) {
      try run(levels, from: 1, tolerance: 1e-6) { _, _ in .nan }
    }
    #expect(nan?.description.contains("not met in 10000 steps") == true)
    for tolerance in [0, -1, 1.1, .nan, .infinity] {
      let error = #expect(throws: DiffusionError.self) {
        try run(levels, from: 1, tolerance: tolerance) { x, _ in x }
      }
      #expect(error?.description == "tolerance must lie in 1e-14...1.0, not \(tolerance).")
    }
  }
}
