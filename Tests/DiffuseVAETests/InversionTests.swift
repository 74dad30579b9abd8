import Formats
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct InversionTests {
  @Test(
    "By an exact denoiser images come back, better with more steps", arguments: TestBed.allCases)
  func back(set: TestBed) throws {
    let images = set.images(0..<6)
    func ratio(_ steps: Int) throws -> Double {
      let generator = try generator(TestBedTests.model(set)) {
        ($0.sampler, $0.steps) = (.ddim, steps)
      }
      let drafts = try generator.drafts(of: images, inverting: true)
      let found = try peakSignalToNoise(generator.refine(drafts), images.pixels(0..<6))
      return try #require(found.min())
    }
    let (few, many) = (try ratio(10), try ratio(100))
    #expect(many > 50 && many > few, "\(few), \(many)")
  }

  @Test(
    "Only what is deterministic is inverted; without a VAE real images are good for nothing else")
  func refusals() throws {
    let model = try TestBedTests.model(.gaussian)
    let images = TestBed.gaussian.images(0..<2)
    #expect(
      problem {
        try generator(model) { ($0.sampler, $0.eta) = (.ddim, 0.1) }
          .drafts(of: images, inverting: true)
      } == "only the sampler ddim with eta 0 is inverted")
    #expect(
      problem { try generator(model).drafts(of: images, inverting: false) }.contains("no VAE"))
  }

  @Test("PSNR: -10 log10 of the mean squared difference")
  func ratios() {
    let found = peakSignalToNoise(
      Matrix(2, 2, [0, 0, 0.5, 0.5]), Matrix(2, 2, [0.1, 0.1, 0.5, 0.51]))
    #expect(abs(found[0] - 20) < 1e-4)
    #expect(abs(found[1] - (40 + 3.0103)) < 1e-3)
  }
}
