import Formats
import Neural
import RealModule

/// An estimate of `ln p(x)` of some images by a VAE, by importance sampling from q(z|x) (Burda et al.
/// 2016, eq. 8; their tables are of 5 000 samples).
public struct ImportanceEstimate: Codable, Equatable, Sendable {
  /// k, draws of z for each image.
  public let samples: Int
  public let images: Int
  /// The mean over the images of `ln 1/k Σ p(x|z) p(z)/q(z|x)`, in nats. Its expectation is a lower
  /// bound, and tends to the mean of `ln p(x)` as k grows.
  public let mean: Double
  /// The standard error of that mean: how much other images of the kind might change it. Nil for a
  /// single image.
  public let error: Double?
  /// How stage one sees images.
  public let binarise: VAESettings.Binarisation
}

extension Model {
  /// - Parameters:
  ///   - samples: draws of z for each image, 1 or more.
  ///   - seed: of these.
  ///   - threads: images are shared out among so many; the result does not depend on it.
  ///   - progress: is told now and then how many images are done.
  /// - Throws: ``UserError`` for the unconditional baseline, which has no VAE, for a VAE whose output
  ///   is not finite, and when there is no image, or too little memory.
  public func importanceEstimate(
    of images: ByteImages, samples: Int, seed: UInt64, threads: Int,
    progress: (Int) -> Void = { _ in }
  ) throws -> ImportanceEstimate {
    guard let vae else { throw UserError("formulation none has no VAE") }
    guard images.count > 0, samples > 0 else {
      throw UserError("a likelihood takes one image and one sample at least")
    }
    let footprint = configuration.vae.footprint(pixels: shape.count, samples: 1)
    let atWork = min(threads, images.count) * min(samples, VAE.drawnTogether)
    try checkMemory(
      bytes: images.bytes.count + 4 * (footprint.parameters + atWork * footprint.residualsPerImage),
      "importance sampling")
    let binarise = configuration.vae.binarise
    var values: [Double] = []
    for group in (0..<images.count).parts(of: 64 * threads) {
      values += try concurrently(group.count, threads: threads) { place in
        let number = group.lowerBound + place
        let image = binarise.drawn(heldOut: images.pixels([number]), [number])
        return vae.importanceWeightedBound(
          of: image, label: images.labels([number])?[0], number, samples: samples, seed: seed)
      }
      progress(values.count)
    }
    guard values.allSatisfy(\.isFinite) else {
      throw UserError("the VAE's likelihood is not finite")
    }
    let (mean, error) = sampleMean(values)
    return ImportanceEstimate(
      samples: samples, images: values.count, mean: mean, error: error, binarise: binarise)
  }
}

extension VAE {
  /// Draws that go through the decoder together: as many as leave its activations in the cache.
  static let drawnTogether = 256

  /// `ln 1/k Σ p(x|z) p(z)/q(z|x)` over k draws of q(z|x), in nats. Nothing is kept of a draw but its
  /// part of the sum.
  ///
  /// - Parameters:
  ///   - image: x, `[1, pixels]`.
  ///   - label: its class, of use where the VAE is told it.
  ///   - number: the address of its noise.
  func importanceWeightedBound(
    of image: Matrix, label: Int? = nil, _ number: Int, samples: Int, seed: UInt64
  ) -> Double {
    let posterior = encode(image, labels: label.map { [$0] })
    var total = LogSum()
    for (step, part) in (0..<samples).parts(of: Self.drawnTogether).enumerated() {
      let noise = RandomStream(seed: seed, purpose: .importance, step: step)
        .normal(rows: [number], columns: part.count * noiseColumns)
        .reshaped(columns: noiseColumns)
      let chain = chain(from: posterior.repeated(part.count), noise: noise)
      let labels = label.map { [Int](repeating: $0, count: part.count) }
      let losses = negativeLogLikelihoods(decoder(labelled(chain.latents[0], labels)), image)
      let ratios = chain.divergences(.drawn(beta: 1))
      for (loss, ratio) in zip(losses, ratios) { total.add(-loss - ratio) }
    }
    return total.value - .log(Double(samples))
  }
}
