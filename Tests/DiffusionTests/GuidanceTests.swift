import Diffusion
import Testing

@Suite("Classifier-free guidance")
struct GuidanceTests {
  @Test("classifier-free guidance: w = 0 is the conditional model bit for bit, and asks no other")
  func none() throws {
    var isAsked = false
    let found = Guidance.estimate(weight: 0, conditional: 0.1 + 0.2) {
      isAsked = true
      return Double.nan
    }
    #expect(found == 0.1 + 0.2 && !isAsked)
  }

  @Test(
    "classifier-free guidance: of two Gaussians the guided score has precision (1+w)/v_c - w/v_u",
    arguments: [-1, -0.5, 0, 0.7, 3])
  func score(weight w: Double) {
    let (with, without) = (
      GaussianData(mean: 0.6, variance: 0.09), GaussianData(mean: -0.2, variance: 0.8)
    )
    for alphaBar in [0.999, 0.7, 0.3, 0.01] {
      let level = Level(timestep: 0, alphaBar: alphaBar)
      let (vc, vu) = (with.variance(at: level), without.variance(at: level))
      let precision = (1 + w) / vc - w / vu
      let centre =
        level.alpha * ((1 + w) * with.mean / vc - w * without.mean / vu) / precision
      for x in [-1.4, 0.2, 2.3] {
        let x0 = Guidance.estimate(weight: w, conditional: with.denoise(x, level)) {
          without.denoise(x, level)
        }
        let score = (level.alpha * x0 - x) / level.variance
        expect(
          "score at ᾱ = \(alphaBar), x = \(x)", score, is: -precision * (x - centre),
          within: 1e-10 / level.variance)
      }
    }
  }

  @Test("classifier-free guidance: w = 0 and -1 draw from the two models", arguments: [0.0, -1])
  func ends(weight w: Double) {
    let (with, without) = (
      GaussianData(mean: 0.6, variance: 0.09), GaussianData(mean: -0.2, variance: 0.8)
    )
    let levels = levelsAtUniformAngles(steps: 40)
    let meant = w == 0 ? with : without
    let found = ddim(from: 0.7, through: levels) { x, level in
      Guidance.estimate(weight: w, conditional: with.denoise(x, level)) {
        without.denoise(x, level)
      }
    }
    expect(
      "x0", found, is: ddim(from: 0.7, through: levels) { meant.denoise($0, $1) }, within: 1e-12)
  }

  @Test("It guides inside of its interval only")
  func interval() {
    let guidance = Guidance(weight: 2, interval: 0.25...0.5)
    let weights = (0..<8).map {
      guidance.weight(at: Level(timestep: Double($0), alphaBar: 0.5), steps: 8)
    }
    #expect(weights == [0, 2, 2, 2, 0, 0, 0, 0])
  }
}
