import Diffusion
import Foundation
import Testing

@Suite("DDIM")
struct DDIMTests {
  @Test(
    "η = 1 is the small ancestral sampler under the same noise", arguments: [1, 2, 10, 100, 1000])
  func ancestralAtEtaOne(steps: Int) throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    for kind in ScheduleKind.allCases {
      let levels = try NoiseSchedule(kind, steps: 1000).levels(count: steps)
      var numbers = NormalNumbers(state: UInt64(steps))
      let start = numbers.vector(3)
      let noises = (0..<steps).map { _ in numbers.vector(3) }
      expect(
        "\(kind)",
        try ddim(
          from: start, through: levels, eta: 1, denoise: { data.denoise($0, $1) },
          noise: { noises[$0] }),
        is: ancestral(
          from: start, through: levels, variance: .small, denoise: { data.denoise($0, $1) },
          noise: { noises[$0] }),
        within: 1e-12)
    }
  }

  @Test("η: one step is eq. 12, any share of noise", arguments: [0, 0.25, 0.5, 1])
  func equation12(eta: Double) throws {
    let (level, next) = (Level(timestep: 8, alphaBar: 0.2), Level(timestep: 3, alphaBar: 0.7))
    let (x, x0, z) = (0.9, -0.4, 1.3)
    let found = try ddim(
      from: x, through: [level, next], eta: eta, denoise: { _, _ in x0 }, noise: { _ in z })
    let sigma = eta * (0.3 / 0.8).squareRoot() * (1 - 0.2 / 0.7).squareRoot()
    let epsilon = (x - 0.2.squareRoot() * x0) / 0.8.squareRoot()
    let expected =
      0.7.squareRoot() * x0 + (0.3 - sigma * sigma).squareRoot() * epsilon + sigma * z
    expect("x'", found, is: expected, within: 1e-14)
  }

  @Test(
    "η = 0, s = 1, uniform angles: cos(π/2N)^N and the printed standard deviations",
    arguments: [
      (5, 0.778093), (10, 0.883485), (25, 0.951819), (50, 0.975624), (100, 0.987738),
    ])
  func uniformAngles(steps: Int, printed: Double) throws {
    let data = GaussianData()
    // A deterministic linear sampler is one factor: what becomes of 1.
    let found = ddim(from: 1.0, through: levelsAtUniformAngles(steps: steps)) {
      data.denoise($0, $1)
    }
    let expected = pow(cos(.pi / 2 / Double(steps)), Double(steps))
    expect("std", found, is: expected, within: 1e-12)
    expect("std", found, is: printed, within: 5e-7)
  }

  @Test("η = 0 with and without a noise source agree bit for bit; none is drawn")
  func deterministic() throws {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 10)
    let found = try ddim(from: 0.7, through: levels, eta: 0) {
      data.denoise($0, $1)
    } noise: { step in
      Issue.record("step \(step) drew noise")
      return .nan
    }
    #expect(found == ddim(from: 0.7, through: levels) { data.denoise($0, $1) })
  }

  @Test("order 1 towards the exact map y0 = y_T s/√v(T)", arguments: [0.25, 4.0])
  func order(variance: Double) {
    let data = GaussianData(variance: variance)
    // At the first level v(T) = 1, so the map is multiplication by s.
    func error(_ steps: Int) -> Double {
      abs(
        ddim(from: 1.0, through: levelsAtUniformAngles(steps: steps)) { data.denoise($0, $1) }
          - variance.squareRoot())
    }
    expect("order", log2(error(200) / error(400)), is: 1, within: 0.02)
  }

  @Test("inversion, then sampling, returns x0 with an error of order 1", arguments: [0.25, 1.0, 4])
  func inversionOrder(variance: Double) {
    let data = GaussianData(mean: 0.3, variance: variance)
    let x0 = 0.8
    func error(_ steps: Int) -> Double {
      let levels = levelsAtUniformAngles(steps: steps)
      let noise = ddimInversion(of: x0, through: levels) { data.denoise($0, $1) }
      return abs(ddim(from: noise, through: levels) { data.denoise($0, $1) } - x0)
    }
    expect("order", log2(error(200) / error(400)), is: 1, within: 0.02)
  }

  @Test("inversion at s = 1 takes the factor cos(π/2N) a step and never asks at clean data")
  func inversion() throws {
    let levels = levelsAtUniformAngles(steps: 50)
    let data = GaussianData()
    var visited: [Double] = []
    let found = ddimInversion(of: 1.0, through: levels) { x, level in
      visited.append(level.timestep)
      return data.denoise(x, level)
    }
    expect("factor", found, is: pow(cos(.pi / 100), 50), within: 1e-12)
    // Nothing follows the noisiest level either.
    #expect(visited == (0..<49).map(Double.init))
  }

  @Test("each refinement of an inversion leaves the share 1 - (∂x'/∂x)/(α α' + σ σ') of its error")
  func refinements() throws {
    // One step, between two levels: x' = g x, whose inversion is x'/g.
    let (level, next) = (Level(timestep: 1, alphaBar: 0.4), Level(timestep: 0, alphaBar: 0.7))
    let data = GaussianData(mean: 0, variance: 0.25)
    let step = ddimCoefficients(from: level, to: next)
    let gain = step.current + step.original * level.alpha * 0.25 / (0.4 * 0.25 + 0.6)
    let share = 1 - gain / (level.alpha * next.alpha + level.sigma * next.sigma)
    let errors = (0..<6).map { refinements in
      ddimInversion(of: 1.0, through: [level, next], refinements: refinements) {
        data.denoise($0, $1)
      } - 1 / gain
    }
    for (error, better) in zip(errors, errors.dropFirst()) {
      expect("share left", better / error, is: share, within: 1e-9)
    }
  }

  @Test("refined, the inversion of a mixture's draw leads back to it, from clean data on")
  func refinedInversion() throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 20)
    let data = MixtureData(
      weights: [0.3, 0.7],
      parts: [
        GaussianData(mean: -0.7, variance: 0.04), GaussianData(mean: 0.6, variance: 0.09),
      ])
    func error(_ refinements: Int) -> Double {
      let noise = ddimInversion(of: 0.45, through: levels, refinements: refinements) {
        data.denoise($0, $1)
      }
      return abs(ddim(from: noise, through: levels) { data.denoise($0, $1) } - 0.45)
    }
    #expect(error(0) > 1e-3)
    #expect(error(200) < 1e-9, "\(error(200))")
  }

  @Test("an eta outside 0...1 is refused", arguments: [-0.1, 1.1, .infinity, .nan])
  func refuses(eta: Double) throws {
    let levels = try NoiseSchedule(.linear, steps: 10).levels(count: 2)
    let error = #expect(throws: DiffusionError.self) {
      try ddim(from: 0.0, through: levels, eta: eta, denoise: { x, _ in x }, noise: { _ in 0 })
    }
    #expect(error?.description == "eta must lie in 0.0...1.0, not \(eta).")
  }
}
