import Foundation
import Testing

@testable import Diffusion

/// A solver of the probability-flow ODE, and the order that its paper claims.
struct Solver: CustomTestStringConvertible, Sendable {
  typealias Denoise = (Double, Level) throws -> Double

  let name: String
  let order: Double
  /// Evaluations in N steps, the last of them into `.clean`.
  var evaluations: @Sendable (_ steps: Int) -> Int = { $0 }
  let run: @Sendable (Double, [Level], Denoise) throws -> Double

  var testDescription: String { name }

  static let all = [
    Solver(name: "DDIM", order: 1) { try ddim(from: $0, through: $1, denoise: $2) },
    Solver(name: "Euler", order: 1) {
      try heun(
        from: $0, through: $1, corrects: false, level: level(noiseShare:), denoise: $2, noise: none)
    },
    Solver(name: "Heun", order: 2, evaluations: { 2 * $0 - 1 }) {
      try heun(from: $0, through: $1, level: level(noiseShare:), denoise: $2, noise: none)
    },
    Solver(name: "DPM-Solver++ (2S)", order: 2, evaluations: { 2 * $0 - 1 }) {
      try dpmSolver2S(from: $0, through: $1, level: level(noiseShare:), denoise: $2)
    },
    Solver(name: "DPM-Solver++ (2M)", order: 2) {
      try dpmSolver2M(from: $0, through: $1, denoise: $2, noise: none)
    },
    Solver(name: "multistep of order 2", order: 2) {
      try dpmSolverMultistep(from: $0, through: $1, order: 2, denoise: $2)
    },
    Solver(name: "DPM-Solver++ (3M)", order: 3) {
      try dpmSolverMultistep(from: $0, through: $1, order: 3, denoise: $2)
    },
    Solver(name: "UniPC-2", order: 3) { try uniPC(from: $0, through: $1, denoise: $2) },
    Solver(name: "PLMS", order: 2) { try plms(from: $0, through: $1, denoise: $2) },
  ]

  /// No solver of the ODE asks for noise.
  static func none(_ step: Int) -> Double {
    Issue.record("step \(step) drew noise")
    return .nan
  }
}

/// A smooth grid of levels.
enum Grid: CaseIterable, Sendable {
  case lambda, angle

  func levels(steps: Int) -> [Level] {
    switch self {
    case .lambda: DiffusionTests.levels(lambdasFrom: -2.5, to: 1.5, steps: steps)
    case .angle: DiffusionTests.levels(anglesFrom: 1.5, to: 0.15, steps: steps)
    }
  }
}

@Suite("Solvers of the probability-flow ODE")
struct SolverTests {
  static let mixture = MixtureData(
    weights: [0.3, 0.7],
    parts: [GaussianData(mean: -1, variance: 0.2), GaussianData(mean: 0.8, variance: 0.1)])

  /// log2 of how much smaller the error gets with half the step: the root of the mean of its square
  /// over some starts, since that from one may happen to vanish.
  func order(
    _ solver: Solver, _ grid: Grid, denoise: Solver.Denoise, flow: (Double, Level, Level) -> Double
  ) throws -> Double {
    let errors = try [320, 640].map { steps in
      let levels = grid.levels(steps: steps)
      return try [-1.4, -0.5, 0.3, 0.9, 1.7].reduce(0.0) { sum, start in
        let found = try solver.run(start, levels, denoise)
        return sum + pow(found - flow(start, levels[0], levels[steps]), 2)
      }.squareRoot()
    }
    return log2(errors[0] / errors[1])
  }

  @Test(
    "the order claimed, towards y √(v'/v) of Gaussian data", arguments: Solver.all, Grid.allCases)
  func orderOnGaussian(solver: Solver, grid: Grid) throws {
    for variance in [0.25, 3] {
      let data = GaussianData(mean: 0.6, variance: variance)
      let order = try order(solver, grid) {
        data.denoise($0, $1)
      } flow: {
        data.flow($0, from: $1, to: $2)
      }
      expect("order at s² = \(variance)", order, is: solver.order, within: 0.1)
    }
  }

  @Test(
    "the order claimed, towards the quantile of two components", arguments: Solver.all,
    Grid.allCases)
  func orderOnMixture(solver: Solver, grid: Grid) throws {
    let order = try order(solver, grid) {
      Self.mixture.denoise($0, $1)
    } flow: {
      Self.mixture.flow($0, from: $1, to: $2)
    }
    expect("order", order, is: solver.order, within: 0.1)
  }

  @Test(
    "from pure noise to clean data: y_T s/√v(T), asked as often as said", arguments: Solver.all)
  func exactMap(solver: Solver) throws {
    for variance in [0.25, 4] {
      let data = GaussianData(variance: variance)
      let steps = 500
      var count = 0
      let found = try solver.run(-0.7, levelsAtUniformAngles(steps: steps)) {
        count += 1
        return data.denoise($0, $1)
      }
      let expected = -0.7 * variance.squareRoot()
      // Order 1 at s = 1 is off by π²/8N; the step into clean data by σ²/2s².
      let bound = 2 * Double.pi / Double(steps)
      expect("y0", found, is: expected, within: solver.order > 1 ? 10 * bound * bound : bound)
      // The step from pure noise has no middle.
      let isWithoutMiddle = solver.name == "DPM-Solver++ (2S)"
      let evaluations = solver.evaluations(steps) - (isWithoutMiddle ? 1 : 0)
      #expect(count == evaluations, "\(count) evaluations, not \(evaluations)")
    }
  }

  @Test("one step is the estimate of x0, and no step is the start", arguments: Solver.all)
  func ends(solver: Solver) throws {
    let noisy = Level(timestep: 9, alphaBar: 0.1)
    let found = try solver.run(0.7, [noisy, .clean]) { x, level in
      #expect(level == noisy)
      return x + 3
    }
    expect("x0", found, is: 3.7, within: 1e-15)
    #expect(try solver.run(0.7, [noisy]) { x, _ in x } == 0.7)
    #expect(try solver.run(0.7, []) { x, _ in x } == 0.7)
  }

  @Test("an x0 that never changes is reached, whatever the levels", arguments: Solver.all)
  func constant(solver: Solver) throws {
    for (kind, zero) in ScheduleKind.allCases.flatMap({ [($0, false), ($0, true)] }) {
      let schedule = try NoiseSchedule(kind, steps: 1000, zeroTerminalSNR: zero)
      for steps in [1, 2, 3, 10, 60] {
        let levels = try schedule.levels(count: steps)
        let found = try solver.run(1.3, levels) { _, _ in -0.4 }
        expect("y0", found, is: -0.4, within: 1e-12)
        // Nothing grows on the way, although σ/α is 10⁴ at first.
        for last in 1..<levels.count - 1 {
          let x = try solver.run(1.3, Array(levels[...last])) { _, _ in -0.4 }
          #expect(abs(x) < 3, "\(kind), \(last) of \(steps) steps: \(x)")
        }
      }
    }
  }

  @Test("DPM-Solver++ of order 1 is DDIM")
  func orderOne() throws {
    for kind in ScheduleKind.allCases {
      let levels = try NoiseSchedule(kind, steps: 1000).levels(count: 20)
      let found = try dpmSolverMultistep(from: 0.7, through: levels, order: 1) {
        Self.mixture.denoise($0, $1)
      }
      let expected = ddim(from: 0.7, through: levels) { Self.mixture.denoise($0, $1) }
      expect("\(kind)", found, is: expected, within: 1e-12)
    }
  }

  @Test("DPM-Solver++ (2M) is algorithm 2, (2S) algorithm 1, written out")
  func algorithms() throws {
    let levels = levels(lambdasFrom: -2, to: 1.5, steps: 7)
    func model(_ x: Double, _ level: Level) -> Double { Self.mixture.denoise(x, level) }
    var (x, y, last) = (0.7, 0.7, 0.0)
    for (i, (a, b)) in zip(levels, levels.dropFirst()).enumerated() {
      let h = log(b.alpha / b.sigma) - log(a.alpha / a.sigma)
      let denoised = model(x, a)
      let r = i == 0 ? .infinity : (log(a.snr) - log(levels[i - 1].snr)) / 2 / h
      let slope = (denoised - last) / (2 * r)
      x = b.sigma / a.sigma * x - b.alpha * (exp(-h) - 1) * (denoised + slope)
      last = denoised

      let s = level(noiseShare: 1 / (1 + exp(log(a.snr) / 2 + h / 2)))
      let u = s.sigma / a.sigma * y - s.alpha * (exp(-h / 2) - 1) * model(y, a)
      y = b.sigma / a.sigma * y - b.alpha * (exp(-h) - 1) * model(u, s)
    }
    let found2M = dpmSolver2M(from: 0.7, through: levels, denoise: model, noise: Solver.none)
    expect("2M", found2M, is: x, within: 1e-12)
    let found2S = dpmSolver2S(from: 0.7, through: levels, level: level(noiseShare:), denoise: model)
    expect("2S", found2S, is: y, within: 1e-12)
  }

  @Test("PLMS mixes its estimates of the noise by the weights of Adams and Bashforth, written out")
  func adamsBashforth() {
    let levels = levels(lambdasFrom: -2, to: 1.5, steps: 7)
    var (x, e) = (0.7, [Double]())  // the newest last
    for (a, b) in zip(levels, levels.dropFirst()) {
      e.append((x - a.alpha * Self.mixture.denoise(x, a)) / a.sigma)
      let n = e.count
      let mixed =
        switch n {
        case 1: e[0]
        case 2: (3 * e[1] - e[0]) / 2
        case 3: (23 * e[2] - 16 * e[1] + 5 * e[0]) / 12
        default: (55 * e[n - 1] - 59 * e[n - 2] + 37 * e[n - 3] - 9 * e[n - 4]) / 24
        }
      x = b.alpha * (x - a.sigma * mixed) / a.alpha + b.sigma * mixed
    }
    let found = plms(from: 0.7, through: levels) { Self.mixture.denoise($0, $1) }
    expect("x0", found, is: x, within: 1e-12)
  }

  @Test("an order outside 1...3 is refused", arguments: [-1, 0, 4])
  func refuses(order: Int) {
    let error = #expect(throws: DiffusionError.self) {
      try dpmSolverMultistep(from: 0.7, through: [], order: order) { x, _ in x }
    }
    #expect(error?.description == "order must lie in 1...3, not \(order).")
  }

  @Test(
    "exponential weights integrate every polynomial that has as many coefficients",
    arguments: [1e-7, 1e-3, 0.1, 0.999, 1.001, 5, 40])
  func weights(h: Double) {
    let cases: [[Double]] = [[0], [-1, 0], [-2.5, -0.7, 0], [-3, -1.5, 0, 1]]
    for nodes in cases {
      let weights = exponentialWeights(h, nodes: nodes)
      for degree in nodes.indices {
        // Simpson's rule in 2000 parts for h e^(h(u-1)) u^degree.
        let parts = 2000
        var sum = 0.0
        for i in 0...parts {
          let u = Double(i) / Double(parts)
          let weight: Double = i == 0 || i == parts ? 1 : i.isMultiple(of: 2) ? 2 : 4
          sum += weight * h * exp(h * (u - 1)) * pow(u, Double(degree))
        }
        let expected = sum / Double(3 * parts)
        let found = zip(weights, nodes).reduce(0) { $0 + $1.0 * pow($1.1, Double(degree)) }
        expect("u^\(degree) by \(nodes)", found, is: expected, within: 1e-8 * min(1, h))
      }
    }
  }
}
