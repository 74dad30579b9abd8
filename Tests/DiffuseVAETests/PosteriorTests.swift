import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct PosteriorTests {
  /// Untrained, but shaken so that nothing is zero; 6×5 images.
  private func generator(_ settings: String..., threads: Int = 2) throws -> Generator {
    let configuration = try Configuration(
      yaml: small().yaml, name: "resolved", overriding: settings)
    let shape = ImageShape(height: 6, width: 5, channels: 1)
    let vae = VAE(configuration.vae, pixels: shape.count, seed: 1).shaken(0.2)
    let model = try Model(
      configuration, shape: shape, vae: configuration.hasVAE ? vae : nil,
      denoiser: MLPDenoiser(
        configuration.denoiser, pixels: shape.count,
        conditional: configuration.diffusion.condition, timesteps: 50, seed: 1
      ).shaken(0.1))
    var options = SamplingOptions(configuration.sampling, threads: threads)
    options.batch = 16
    return try Generator(model, options)
  }

  private func images(_ count: Int) -> ByteImages {
    let numbers = RandomStream(seed: 2, purpose: .component).integers(
      rows: 0..<30 * count, below: 256)
    return ByteImages(
      count: count, height: 6, width: 5, channels: 1, bytes: numbers.map { UInt8($0) })
  }

  @Test("Image i's own z, given, makes image i again, bit for bit", arguments: ["ddim", "ddpm"])
  func ownLatents(sampler: String) throws {
    let generator = try generator("sampling.sampler=\(sampler)")
    let z = Matrix.stacked(try generator.drafts(Array(0..<20)).compactMap(\.z))
    #expect(z.rows == 20)
    #expect(try generator.images(of: z, labels: nil) == generator.images(0..<20))
    #expect(try generator.reconstructions(of: z, labels: nil) == generator.reconstructions(0..<20))
    // Of another z it is another image, but the same noise: only row 3 differs.
    var other = z
    other.replaceRow(3, by: z, 4)
    let (changed, images) = (
      try generator.images(of: other, labels: nil), try generator.images(0..<20)
    )
    for row in 0..<20 {
      #expect((changed.rows(row..<row + 1) == images.rows(row..<row + 1)) == (row != 3))
    }
  }

  @Test("Latents are drawn from q(z|x): its mean, and its deviation times each image's own noise")
  func draws() throws {
    let generator = try generator()
    let (images, vae) = (images(300), try #require(generator.model.vae))
    let z = try generator.latents(of: images)
    #expect(z.rows == 300 && z.columns == 4)
    // The encoder's output is [mean | ln variance].
    let posterior = vae.encoder(images.pixels(0..<300))
    let noise = RandomStream(seed: 0, purpose: .latentNoise, step: -2)
      .normal(rows: 0..<300, columns: 4)
    var worst = 0.0
    for row in 0..<300 {
      for i in 0..<4 {
        let deviation = exp(Double(posterior[row, 4 + i]) / 2)
        let expected = Double(posterior[row, i]) + deviation * Double(noise[row, i])
        worst = max(worst, abs(Double(z[row, i]) - expected) / (1 + abs(expected)))
      }
    }
    // Single precision, and sums of 24 and 30 numbers that may round in another order.
    #expect(worst < 1e-5)
    for threads in [1, 3] {
      let other = try self.generator(threads: threads)
      #expect(try other.latents(of: images) == z)
    }
  }

  @Test("The unconditional baseline has no latents, and no evidence lower bound")
  func unconditional() throws {
    let generator = try generator("diffusion.formulation=none", "diffusion.condition=false")
    #expect(problem { try generator.latents(of: images(3)) }.contains("no VAE"))
    #expect(
      problem { try generator.model.evidenceLowerBound(of: images(3), threads: 1) }
        .contains("no VAE"))
  }

  @Test(
    "The lower bound is its definition in double precision, and what stage one's log ends with",
    arguments: ["likelihood=bernoulli", "likelihood=gaussian", "binarise=dynamic"])
  func lowerBound(setting: String) throws {
    try inTemporaryFolder { folder in
      let configuration = try small("vae.\(setting)", "vae.beta=0.5")
      let run = try trainedRun(in: folder, configuration)
      let lines = try File.read(run.metricsFile).split(separator: UInt8(ascii: "\n")).map {
        try #require(try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any])
      }
      let last = try #require(
        lines.last { $0["stage"] as? String == "vae" && $0["test_loss"] != nil })
      #expect(last["step"] as? Int == 12)
      let test = try #require(try Dataset(configuration.data).test)
      let model = try Model(of: run, needsDenoiser: false)
      let bound = try model.evidenceLowerBound(of: test, threads: 1)
      #expect(try model.evidenceLowerBound(of: test, threads: 3) == bound)
      let (reconstruction, divergence) = try terms(
        of: #require(model.vae), test, isBinary: setting == "binarise=dynamic")
      // Single precision, over 64 pixels an image.
      #expect(abs(bound.reconstruction - reconstruction) < 1e-5 * abs(reconstruction))
      #expect(abs(bound.divergence - divergence) < 1e-5 * divergence)
      #expect(abs(bound.total - reconstruction + divergence) < 1e-5 * abs(reconstruction))
      // JSON has 16 digits. The bound has no β, the loss has.
      let half = 0.5 * bound.divergence
      for (name, value) in [
        ("reconstruction", -bound.reconstruction), ("divergence", bound.divergence),
        ("loss", -bound.total - half),
      ] {
        let logged = try #require(last["test_" + name] as? Double)
        #expect(abs(logged - value) <= 1e-15 * abs(value), "\(name)")
      }
    }
  }

  /// E ln p(x|z) and KL(q(z|x) ‖ N(0, I)), pixel by pixel, of the outputs of the two networks.
  private func terms(
    of vae: VAE, _ images: ByteImages, isBinary: Bool
  ) throws -> (reconstruction: Double, divergence: Double) {
    var pixels = images.pixels(0..<images.count)
    if isBinary {
      let uniform = RandomStream(seed: 0, purpose: .binarisation, step: -1)
        .uniform(rows: 0..<images.count, columns: pixels.columns)
      pixels.elements = zip(pixels.elements, uniform.elements).map { $1 < $0 ? 1 : 0 }
    }
    let posterior = vae.encoder(pixels)
    let noise = RandomStream(seed: Stage.vae.seed(0), purpose: .latentNoise, step: -1)
      .normal(rows: 0..<images.count, columns: vae.latent)
    var z = noise
    var divergence = 0.0
    for row in 0..<images.count {
      for i in 0..<vae.latent {
        let (mean, s) = (Double(posterior[row, i]), Double(posterior[row, vae.latent + i]))
        z[row, i] = Float(mean + exp(s / 2) * Double(noise[row, i]))
        let variance: Double = exp(s)
        divergence += (mean * mean + variance - 1 - s) / 2
      }
    }
    let output = vae.decoder(z)
    let s = vae.logVariance.map { Double($0.value[0, 0]) }
    var reconstruction = 0.0
    for (x, y) in zip(pixels.elements, output.elements) {
      let (x, y) = (Double(x), Double(y))
      if let s {
        let error: Double = (x - y) * (x - y) * exp(-s)
        reconstruction -= (error + s + log(2 * Double.pi)) / 2
      } else {
        let p = 1 / (1 + exp(-y))
        let (one, zero): (Double, Double) = (x * log(p), (1 - x) * log(1 - p))
        reconstruction += one + zero
      }
    }
    let n = Double(images.count)
    return (reconstruction / n, divergence / n)
  }
}
