import Diffusion
import Testing

@Suite("Prediction targets")
struct PredictionTargetTests {
  static let pairs = PredictionTarget.allCases.flatMap { target in
    PredictionTarget.allCases.map { (target, $0) }
  }

  /// The targets by name, apart from the table under test.
  static func value(_ target: PredictionTarget, x0: Double, noise: Double, at l: Level) -> Double {
    switch target {
    case .noise: noise
    case .original: x0
    case .velocity: l.alpha * noise - l.sigma * x0
    }
  }

  @Test("x0 → target → x0 round-trips to 1e-12", arguments: PredictionTarget.allCases)
  func roundTrip(target: PredictionTarget) throws {
    let (x0, noise) = (-0.73, 1.9)
    for alphaBar in [0.9999, 0.999, 0.9, 0.5, 0.3, 0.1, 1e-2, 1e-4] {
      let level = Level(timestep: 0, alphaBar: alphaBar)
      let c = target.coefficients(at: level)
      let output = c.original * x0 + c.noise * noise
      expect(
        "target at ᾱ = \(alphaBar)", output,
        is: Self.value(target, x0: x0, noise: noise, at: level), within: 1e-15)

      let x = level.alpha * x0 + level.sigma * noise
      let k = target.recovery(at: level)
      expect("x0 at ᾱ = \(alphaBar)", k.x * x + k.output * output, is: x0, within: 1e-12)
    }
  }

  @Test("losses: SNR and 1 + SNR, 0.428571 and 1.428571 at ᾱ = 0.3")
  func printedWeights() {
    let level = Level(timestep: 0, alphaBar: 0.3)
    func weight(_ target: PredictionTarget, _ space: PredictionTarget) -> Double {
      target.lossWeight(measuredIn: space, at: level)
    }
    expect("x0 in ε", weight(.original, .noise), is: 0.428571, within: 5e-7)
    expect("x0 in v", weight(.original, .velocity), is: 1.428571, within: 5e-7)
    expect("ε in x0", weight(.noise, .original), is: 0.7 / 0.3, within: 1e-12)
    expect("ε in v", weight(.noise, .velocity), is: 1 / 0.3, within: 1e-12)
    expect("v in x0", weight(.velocity, .original), is: 0.7, within: 1e-12)
    expect("v in ε", weight(.velocity, .noise), is: 0.3, within: 1e-12)
    for target in PredictionTarget.allCases { #expect(weight(target, target) == 1) }
  }

  @Test("all 3 × 3 pairs: the weighted error is the error in the other space", arguments: pairs)
  func weights(target: PredictionTarget, space: PredictionTarget) {
    let (x0, noise, mistake) = (-0.73, 1.9, 0.41)
    for alphaBar in [0.999, 0.9, 0.5, 0.3, 0.1, 1e-2, 1e-3] {
      let level = Level(timestep: 0, alphaBar: alphaBar)
      let x = level.alpha * x0 + level.sigma * noise

      // What a wrong output says of x0 and of ε, target by target.
      let output = Self.value(target, x0: x0, noise: noise, at: level) + mistake
      let (saidX0, saidNoise): (Double, Double) =
        switch target {
        case .noise: ((x - level.sigma * output) / level.alpha, output)
        case .original: (output, (x - level.alpha * output) / level.sigma)
        case .velocity:
          (level.alpha * x - level.sigma * output, level.sigma * x + level.alpha * output)
        }
      let error =
        Self.value(space, x0: saidX0, noise: saidNoise, at: level)
        - Self.value(space, x0: x0, noise: noise, at: level)
      let weight = target.lossWeight(measuredIn: space, at: level, limit: .infinity)
      let expected = error * error
      expect(
        "ᾱ = \(alphaBar)", weight * mistake * mistake, is: expected, within: 1e-10 * expected)
    }
  }

  @Test("the weight is clipped at 400, 1/σ² at σ = 0.05, and min-SNR-γ is a limit")
  func limit() {
    func weight(sigma: Double) -> Double {
      PredictionTarget.original.lossWeight(
        measuredIn: .velocity, at: Level(timestep: 0, alphaBar: 1 - sigma * sigma))
    }
    expect("σ = 0.06", weight(sigma: 0.06), is: 1 / 0.0036, within: 1e-9)
    #expect(weight(sigma: 0.049) == 400)
    #expect(weight(sigma: 0.001) == 400)

    for alphaBar in [0.99, 0.84, 0.83, 0.3] {
      let level = Level(timestep: 0, alphaBar: alphaBar)
      let found = PredictionTarget.original.lossWeight(measuredIn: .noise, at: level, limit: 5)
      expect("min(SNR, 5)", found, is: min(alphaBar / (1 - alphaBar), 5), within: 1e-12)
    }
  }

  @Test(
    "floors: the exact denoiser's mean loss over t, for every target",
    arguments: [
      (1.0, [0.275513, 0.724487, 1.0]),
      (0.25, [0.173053, 0.206737, 0.379790]),
      (0.01, [0.041431, 0.009586, 0.051017]),
    ], PredictionTarget.allCases)
  func floors(data: (variance: Double, floors: [Double]), target: PredictionTarget) throws {
    let schedule = try NoiseSchedule(.linear, steps: 1000)
    let spaces: [PredictionTarget] = [.noise, .original, .velocity]
    for (space, expected) in zip(spaces, data.floors) {
      let mean = (0..<schedule.steps).reduce(0.0) { sum, t in
        let level = schedule.level(t)
        let (a, s) = (level.alpha, level.sigma)

        // Var(c₀ x0 + c₁ ε | x) of the jointly Gaussian pair, from their covariance with x.
        let (c0, c1): (Double, Double) =
          switch target {
          case .noise: (0, 1)
          case .original: (1, 0)
          case .velocity: (-s, a)
          }
        let variance = c0 * c0 * data.variance + c1 * c1
        let covariance = c0 * a * data.variance + c1 * s
        let error = variance - covariance * covariance / (a * a * data.variance + s * s)
        return sum + target.lossWeight(measuredIn: space, at: level, limit: .infinity) * error
      }
      expect("\(target) in \(space)", mean / 1000, is: expected, within: 5e-7)
    }
  }
}
