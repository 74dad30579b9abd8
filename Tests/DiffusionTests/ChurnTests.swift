import Diffusion
import Foundation
import Testing

@Suite("Heun and Euler with churn")
struct ChurnTests {
  static let data = GaussianData(mean: 0.6, variance: 0.25)

  func sample(
    _ levels: [Level], churn: Double, corrects: Bool = true, noise: (Int) throws -> [Double]
  ) throws -> [Double] {
    let steps = levels.count - 1
    return try heun(
      from: Coefficients.start(steps: steps), through: levels, churn: churn, corrects: corrects,
      level: level(noiseShare:), denoise: { Coefficients.denoise(Self.data, $0, $1) }, noise: noise)
  }

  @Test("Euler without churn is DDIM, bit for bit")
  func euler() throws {
    let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: 20)
    let found = try heun(
      from: 0.7, through: levels, corrects: false, level: level(noiseShare:),
      denoise: { Self.data.denoise($0, $1) }, noise: Solver.none)
    #expect(found == ddim(from: 0.7, through: levels) { Self.data.denoise($0, $1) })
  }

  @Test("churn 0 is plain Heun bit for bit, and that is algorithm 1 written out in x/(α + σ)")
  func plain() throws {
    let levels = try NoiseSchedule(.cosine, steps: 1000).levels(count: 20)
    func run(_ churn: Double?) throws -> Double {
      try heun(
        from: 0.7, through: levels, churn: churn ?? 0, level: level(noiseShare:),
        denoise: { Self.data.denoise($0, $1) }, noise: Solver.none)
    }
    let plain = try run(nil)
    #expect(try run(0) == plain && run(-0.0) == plain)

    // s(t) = 1 - t and σ(t) = t/(1-t): u = x/(α + σ), du/dt = (u - D)/t.
    func scale(_ level: Level) -> Double { level.alpha + level.sigma }
    func slope(_ u: Double, _ level: Level) -> Double {
      (u - Self.data.denoise(scale(level) * u, level)) * scale(level) / level.sigma
    }
    var u = 0.7 / scale(levels[0])
    for (a, b) in zip(levels, levels.dropFirst()) {
      let h = b.sigma / scale(b) - a.sigma / scale(a)
      let d = slope(u, a)
      u += b == .clean ? h * d : h / 2 * (d + slope(u + h * d, b))
    }
    expect("x0", plain, is: u, within: 1e-12)
  }

  @Test(
    "mean and variance with churn: noise up to σ̂ = (1 + γ)σ, then the step's factor",
    arguments: [0.5, 10, 1000], [true, false])
  func moments(churn: Double, corrects: Bool) throws {
    for steps in [1, 2, 10, 50] {
      let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: steps)
      let found = Coefficients.moments(
        try sample(levels, churn: churn, corrects: corrects) {
          Coefficients.noise($0, steps: steps)
        })
      let gamma = min(churn / Double(steps), 2.0.squareRoot() - 1)
      // What becomes of deviations from α m; α m itself is on the ODE, as ε = 0 is.
      var v = 1.0
      var offset = -levels[0].alpha * Self.data.mean
      for (i, (planned, next)) in zip(levels, levels.dropFirst()).enumerated() {
        var (s, alpha) = (planned.sigma / planned.alpha, planned.alpha)
        if i > 0 {
          s = min((1 + gamma) * s, levels[0].sigma / levels[0].alpha)
          let raised = 1 / (1 + s * s).squareRoot()
          v = pow(raised / alpha, 2) * v + 1 - pow(raised / alpha, 2)
          offset *= raised / alpha
          alpha = raised
        }
        // In x/α the slope by σ/α is ε, and that is σ/v of the deviation.
        let here = Level(timestep: 0, alphaBar: alpha * alpha)
        func epsilon(_ x: Double, _ l: Level) -> Double {
          l.sigma * x / Self.data.variance(at: l)
        }
        func original(_ x: Double, _ l: Level) -> Double { Self.data.gain(at: l) * x }
        var factor = next.alpha * original(1, here) + next.sigma * epsilon(1, here)
        if corrects, next != .clean {
          func tau(_ l: Level) -> Double { l.sigma / (l.alpha + l.sigma) }
          let first = epsilon(1, here) - original(1, here)
          let second = epsilon(factor, next) - original(factor, next)
          let half = (tau(next) - tau(here)) / 2
          factor =
            (next.alpha + next.sigma) * (1 / (here.alpha + here.sigma) + half * (first + second))
        }
        v *= factor * factor
        offset *= factor
      }
      expect("mean in \(steps) steps", found.mean, is: Self.data.mean + offset, within: 1e-9)
      expect("variance in \(steps) steps", found.variance, is: v, within: 1e-9)
    }
  }

  @Test("much churn in many steps still ends at the data")
  func manySteps() throws {
    let steps = 400
    let levels = levelsAtUniformAngles(steps: steps)
    let found = Coefficients.moments(
      try sample(levels, churn: 40) { Coefficients.noise($0, steps: steps) })
    expect("mean", found.mean, is: 0.6, within: 2e-3)
    expect("variance", found.variance, is: 0.25, within: 2e-3)
  }

  @Test("noise is drawn once for each step but the first, which has no level above it")
  func draws() throws {
    let levels = try NoiseSchedule(.linear, steps: 1000).levels(count: 5)
    var drawn: [Int] = []
    _ = try sample(levels, churn: 2) {
      drawn.append($0)
      return Coefficients.noise($0, steps: 5)
    }
    #expect(drawn == [1, 2, 3, 4])
  }

  @Test("no noise is added beyond the first level, however much churn there is")
  func ceiling() throws {
    let levels = levels(anglesFrom: 1.5, to: 0.2, steps: 60)
    var visited: [Level] = []
    _ = try heun(
      from: 0.7, through: levels, churn: 1000, corrects: false, level: level(noiseShare:)
    ) { x, level in
      visited.append(level)
      return Self.data.denoise(x, level)
    } noise: { _ in
      0.1
    }
    // The factor √2 on σ/α is more than the first step takes away.
    let highest = visited.map(\.noiseShare).max() ?? 0
    expect("the noisiest", highest, is: levels[0].noiseShare, within: 1e-12)
    let raised = zip(visited, levels).count { $0.noiseShare > $1.noiseShare + 1e-12 }
    #expect(raised == 59, "\(raised) of 60 steps start above their level")
  }

  @Test("a churn that is no number from 0 up is refused", arguments: [-0.1, .infinity, .nan])
  func refuses(churn: Double) {
    let error = #expect(throws: DiffusionError.self) {
      try sample([.clean], churn: churn) { _ in [] }
    }
    #expect(error?.description.hasPrefix("churn must lie in 0.0...") == true)
  }
}
