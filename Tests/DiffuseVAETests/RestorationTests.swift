import Diffusion
import Formats
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct RestorationTests {
  private func images(_ count: Int, _ shape: ImageShape) -> ByteImages {
    ByteImages(normal(count, shape.count, seed: 5).sigmoid(), shape: shape)
  }

  private func restored(
    _ model: Model, _ images: ByteImages, _ restoration: Restoration,
    _ change: (inout SamplingOptions) -> Void = { _ in }
  ) throws -> Matrix {
    let generator = try generator(model) {
      $0.restoration = restoration
      change(&$0)
    }
    return try generator.refine(generator.drafts(of: images, inverting: false))
  }

  @Test(
    "What is outside of a hole comes back as it was, by every sampler; what was in it is not looked at",
    arguments: ["concat", "centred", "residual", "none"])
  func hole(formulation: String) throws {
    let model =
      formulation == "none"
      ? try shakenModel("diffusion.formulation=none", "diffusion.condition=false")
      : try shakenModel("diffusion.formulation=\(formulation)")
    let shape = model.shape
    let hole = (0..<shape.count).map { $0 % 7 < 3 }
    var restoration = Restoration()
    restoration.known = .outside(hole)
    let whole = images(5, shape)
    let bytes = whole.bytes.enumerated().map { place, byte in
      hole[place % shape.count] ? 255 - byte : byte
    }
    let other = ByteImages(bytes, shape)
    for sampler in SamplingSettings.Sampler.allCases {
      let found = try restored(model, whole, restoration) { $0.sampler = sampler }
      for row in 0..<5 {
        for place in 0..<shape.count where !hole[place] {
          let expected = Float(whole.bytes[row * shape.count + place]) / 255
          #expect(abs(found[row, place] - expected) < 1e-5, "\(sampler)")
        }
      }
      #expect(try restored(model, other, restoration) { $0.sampler = sampler } == found)
    }
  }

  @Test("Of a VAE that knows plain images only, a hole becomes the mean of what is around it")
  func imputation() {
    let shape = ImageShape(height: 2, width: 5, channels: 1)
    var restoration = Restoration()
    restoration.known = .outside((0..<10).map { $0 < 3 })
    let given = Matrix(1, 10, [0, 0, 0, 0.1, 0.3, 0.5, 0.9, 0.7, 0.3, 0.7])
    let found = restoration.imputed(given, shape: shape) { x in
      let mean = x.elements.reduce(0, +) / 10
      return Matrix(1, 10, fill: mean)
    }
    for place in 0..<10 {
      #expect(abs(found[0, place] - (place < 3 ? 0.5 : given[0, place])) < 1e-5)
    }
  }

  @Test("Enlarged images have the given means, and in between the deviation of the data")
  func means() throws {
    let model = try TestBedTests.model(.gaussian, "sampling.sampler=ddpm", "sampling.steps=1000")
    let data = try Dataset(DataSettings(set: "gaussian"))
    let images = data.training.slice(0..<400)
    var restoration = Restoration()
    restoration.known = .means(side: 2)
    let found = try restored(model, images, restoration).affine(2, -1)
    let given = Corruption.pixelated(
      images.pixels(0..<400).affine(2, -1), model.shape, side: 2)
    let between = { (x: Matrix) in
      let means = Corruption.pixelated(x, model.shape, side: 2)
      return Matrix.combine(1, x, -1, means)
    }
    var error = Corruption.pixelated(found, model.shape, side: 2)
    error.add(-1, given)
    // Given images are rounded to bytes.
    #expect(error.elements.allSatisfy { abs($0) < 0.5 / 127.5 + 1e-4 })
    // 12 of 16 directions are free, each of the data's variance: 4800 draws of it.
    let variance = between(found).squaredNorm / (400 * 12)
    let standardError = 0.04 * (2 / 4800.0).squareRoot()
    #expect(abs(variance - 0.04) < 4 * standardError, "\(variance)")
  }

  @Test("Noise is taken away as the ODE does: Gaussian data shrink towards their mean")
  func noisy() throws {
    let model = try TestBedTests.model(.gaussian, "sampling.steps=300")
    let deviation = 0.06
    let x = normal(40, model.shape.count, seed: 9)
    let images = ByteImages(x.affine(0.1, 0.5), shape: model.shape)
    var restoration = Restoration()
    restoration.start = .noisy(deviation: deviation)
    let timestep = try restoration.timestep(of: model.process.schedule)
    let level = model.process.schedule.level(timestep)
    let ratio = level.sigma / level.alpha
    #expect(abs(ratio - 2 * deviation) < 0.02 * 2 * deviation)
    let steps = min(300, timestep + 1)
    let found = try restored(model, images, restoration) { $0.steps = steps }.affine(2, -1)
    // x0 = x s/√(s² + ρ²) with s = 0.2.
    let shrink = 0.2 / (0.04 + ratio * ratio).squareRoot()
    let given = images.pixels(0..<40).affine(2, -1)
    for (a, b) in zip(found.elements, given.elements) {
      #expect(abs(Double(a) - shrink * Double(b)) < 0.02)
    }
  }

  @Test(
    "One step from a share of the time is the network's estimate there, of images with its noise")
  func start() throws {
    let model = try shakenModel()
    let whole = images(3, model.shape)
    var restoration = Restoration()
    let drafts = try generator(model).drafts(of: whole, inverting: false)
    let noise = Matrix.stacked(drafts.map(\.start))
    let reconstruction = try generator(model).reconstructions(drafts).affine(2, -1)
    for (share, timestep) in [(0.0, 0), (0.5, 25), (1, 49)] {
      restoration.start = .noised(share)
      let found = try restored(model, whole, restoration) { $0.steps = 1 }
      let level = model.process.schedule.level(timestep)
      let y = Matrix.combine(
        level.alpha, whole.pixels(0..<3).affine(2, -1), level.sigma, noise)
      let expected = try model.process.denoise(
        y, at: level, #require(model.denoiser), Known(reconstruction: reconstruction)
      ).affine(0.5, 0.5).clamped(to: 0...1)
      for (a, b) in zip(found.elements, expected.elements) { #expect(abs(a - b) < 1e-5) }
    }
    for share in [-0.1, 1.1, .nan] {
      restoration.start = .noised(share)
      #expect(problem { try restored(model, whole, restoration) }.contains("must be in 0...1"))
    }
    for deviation in [-1, 0, 101, .nan] {
      restoration.start = .noisy(deviation: deviation)
      #expect(problem { try restored(model, whole, restoration) }.contains("must be above 0"))
    }
    restoration.start = .noised(0.1)
    #expect(
      problem { try restored(model, whole, restoration) { $0.steps = 7 } }.contains(
        "7 steps are more than the 6 timesteps"))
    restoration = Restoration()
    for known in [
      Restoration.Measurement.outside([]), .outside([true]), .means(side: 0), .means(side: 4),
    ] {
      restoration.known = known
      #expect(problem { try restored(model, whole, restoration) } != "no error")
    }
    restoration.known = .means(side: 1)
    restoration.start = .noisy(deviation: 0.1)
    #expect(problem { try restored(model, whole, restoration) }.contains("from whole images"))
    #expect(
      problem {
        restoration.start = .noise
        return try generator(model) { $0.restoration = restoration }.images(0..<2)
      } == "there are no images to restore")
  }
}
