import Diffusion
import Testing

@Suite("Prediction targets")
struct PredictionTargetTests {
  /// The targets by name, apart from the table under test.
  static func value(_ target: PredictionTarget, x0: Double, noise: Double, at l: Level) -> Double {
    switch target {
    case .noise: noise
    case .original: x0
    case .velocity: l.alpha * noise - l.sigma * x0
    case .score: -noise / l.sigma
    }
  }

  /// What an output says of x0 and of ε, target by target.
  static func estimates(
    _ target: PredictionTarget, output: Double, x: Double, at l: Level
  ) -> (x0: Double, noise: Double) {
    switch target {
    case .noise: ((x - l.sigma * output) / l.alpha, output)
    case .original: (output, (x - l.alpha * output) / l.sigma)
    case .velocity: (l.alpha * x - l.sigma * output, l.sigma * x + l.alpha * output)
    case .score: ((x + (1 - l.alphaBar) * output) / l.alpha, -l.sigma * output)
    }
  }

  @Test("targets: x0 → target → x0 round-trips to 1e-12", arguments: PredictionTarget.allCases)
  func roundTrip(target: PredictionTarget) throws {
    let (x0, noise) = (-0.73, 1.9)
    for alphaBar in [0.9999, 0.999, 0.9, 0.5, 0.3, 0.1, 1e-2, 1e-4] {
      let level = Level(timestep: 0, alphaBar: alphaBar)
      let c = target.coefficients(at: level)
      let output = c.original * x0 + c.noise * noise
      expect(
        "target at ᾱ = \(alphaBar)", output,
        is: Self.value(target, x0: x0, noise: noise, at: level), within: 1e-13)

      let x = level.alpha * x0 + level.sigma * noise
      let k = target.recovery(at: level)
      expect("x0 at ᾱ = \(alphaBar)", k.x * x + k.output * output, is: x0, within: 1e-12)
    }
  }

  @Test("targets: score = -ε/σ, of Gaussian data the gradient of ln N(x; α m, v) (Tweedie)")
  func score() {
    let data = GaussianData(mean: 0.6, variance: 0.25)
    for alphaBar in [0.9999, 0.9, 0.3, 1e-4] {
      let level = Level(timestep: 0, alphaBar: alphaBar)
      for x in [-1.4, 0.2, 2.3] {
        let x0 = data.denoise(x, level)
        let noise = (x - level.alpha * x0) / level.sigma
        let c = PredictionTarget.score.coefficients(at: level)
        expect(
          "score at ᾱ = \(alphaBar)", c.original * x0 + c.noise * noise,
          is: (level.alpha * data.mean - x) / data.variance(at: level), within: 1e-9)
      }
    }
  }

  @Test("at pure noise, original and velocity still say x0")
  func pureNoise() {
    let level = Level(timestep: 0, alphaBar: 0)
    for target in PredictionTarget.allCases where !target.needsSignal {
      let output = Self.value(target, x0: -0.73, noise: 1.9, at: level)
      let k = target.recovery(at: level)
      expect("\(target)", k.x * 1.9 + k.output * output, is: -0.73, within: 1e-15)
    }
    #expect(PredictionTarget.allCases.filter(\.needsSignal) == [.noise, .score])
  }

  @Test(
    "an error of the output is one of x0, by what both say", arguments: PredictionTarget.allCases)
  func errors(target: PredictionTarget) {
    let (x0, noise, mistake) = (-0.73, 1.9, 0.41)
    for alphaBar in [0.999, 0.9, 0.5, 0.3, 0.1, 1e-2, 1e-3] {
      let level = Level(timestep: 0, alphaBar: alphaBar)
      let x = level.alpha * x0 + level.sigma * noise
      let output = Self.value(target, x0: x0, noise: noise, at: level) + mistake
      let error = Self.estimates(target, output: output, x: x, at: level).x0 - x0
      let expected = error * error
      expect(
        "ᾱ = \(alphaBar)", target.originalError(at: level) * mistake * mistake, is: expected,
        within: 1e-9 * expected)
    }
  }
}
