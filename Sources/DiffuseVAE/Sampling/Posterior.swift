import Formats
import Neural

extension Generator {
  /// A draw of q(z|x) for each of some images.
  ///
  /// - Returns: `[images, latent]`
  /// - Throws: ``UserError`` for the unconditional baseline, which has no VAE.
  package func latents(of images: ByteImages) throws -> Matrix {
    let vae = try vae()
    // No step of training, which count from 0, nor that of its evaluation, -1.
    let noise = RandomStream(seed: options.seed, purpose: .latentNoise, step: -2)
    return try vae.posteriors(of: images, Array(0..<images.count), threads: options.threads)
      .sample(noise.normal(rows: 0..<images.count, columns: vae.latent))
  }

  /// x̂0 of given latents, `[n, latent]`; `[n, pixels]` in [0, 1].
  ///
  /// - Parameter labels: of the images that they are of, where these are known.
  package func reconstructions(of z: Matrix, labels: [Int]?) throws -> Matrix {
    try reconstructions(drafts(of: z, labels: labels))
  }

  /// Given latents refined, z in row i with the noises of image i of the seed; `[n, pixels]` in
  /// [0, 1].
  package func images(of z: Matrix, labels: [Int]?) throws -> Matrix {
    try refine(drafts(of: z, labels: labels))
  }

  /// Real images as drafts: z is the mean of q(z|x), all else that of image i of the seed. Of images that
  /// are to be restored only what is known of them is taken, and z is of what the VAE makes of the rest.
  ///
  /// - Parameter inverting: whether y_T is the one from which the sampler draws the image itself.
  /// - Throws: ``UserError`` without a VAE unless inverting or restoring, and for a model with classes
  ///   when those of the images are not known.
  package func drafts(of images: ByteImages, inverting: Bool) throws -> [Draft] {
    try check(count: images.count)
    let images = options.restoration?.known(of: images) ?? images
    let numbers = Array(0..<images.count)
    let asked = options.label.map { label in numbers.map { _ in label } }
    // A VAE with classes reads an image as one of its own class, whatever it is to become.
    let own = images.labels(numbers) ?? asked
    guard own != nil || model.configuration.classes == 0 else {
      throw UserError("the model is told the class of every image: give that of these with --label")
    }
    let vae = model.vae
    guard vae != nil || inverting || options.restoration != nil else {
      throw UserError(
        "formulation none has no VAE to encode images: they come back by --invert, or are restored")
    }
    @Sendable func labels(_ places: [Int]) -> [Int]? { own.map { own in places.map { own[$0] } } }
    let whole = try inBatches(numbers) { places in
      let given = images.pixels(places)
      guard let vae, let restoration = options.restoration else { return given }
      return restoration.imputed(given, shape: model.shape) { x in
        vae.decode(vae.encode(x, labels: labels(places)).mean, labels: labels(places))
      }
    }
    let z = try vae.map { vae in
      try inBatches(numbers) { places in
        vae.encode(whole.rows(at: places), labels: labels(places)).mean
      }
    }
    var drafts = drafts(numbers, z: z, labels: asked ?? own)
    if options.restoration != nil {
      let known = images.pixels(numbers)
      for place in drafts.indices {
        drafts[place].restored = (
          known.rows(place..<place + 1).affine(2, -1), whole.rows(place..<place + 1).affine(2, -1)
        )
      }
    }
    return inverting ? try invert(drafts, to: images.pixels(numbers)) : drafts
  }

  /// Drafts of given latents, z in row i with the noises of image i of the seed.
  ///
  /// - Parameter labels: of the images that they are of, where these are known.
  package func drafts(of z: Matrix, labels: [Int]?) throws -> [Draft] {
    try check(count: z.rows)
    return drafts(Array(0..<z.rows), z: z, labels: labels)
  }

  private func vae() throws -> VAE {
    guard let vae = model.vae else { throw UserError("formulation none has no VAE") }
    return vae
  }
}

extension VAE {
  /// q(z|x) of the images `indices`.
  package func posteriors(
    of images: ByteImages, _ indices: [Int], threads: Int
  ) throws -> DiagonalGaussian {
    let parts = indices.indices.parts(of: 256)
    let encodings = try concurrently(parts.count, threads: threads) {
      let numbers = indices[parts[$0]]
      return encode(images.pixels(numbers), labels: images.labels(numbers)).parameters
    }
    return DiagonalGaussian(.stacked(encodings))
  }
}

/// The evidence lower bound and its two terms, in nats an image.
public struct EvidenceLowerBound: Codable, Equatable, Sendable {
  /// E ln p(x|z)
  public let reconstruction: Double
  /// KL(q(z|x) ‖ N(0, I)); of several levels of latents, E ln q(z|x) - ln p(z) over all.
  public let divergence: Double
  /// How stage one sees images.
  public let binarise: VAESettings.Binarisation

  public var total: Double { reconstruction - divergence }
}

extension Model {
  /// Means over some images, one draw of z for each: as the log of the training says them.
  ///
  /// - Throws: ``UserError`` for the unconditional baseline, which has no VAE, and for a VAE whose
  ///   output is not finite.
  public func evidenceLowerBound(
    of images: ByteImages, threads: Int
  ) throws -> EvidenceLowerBound {
    guard let vae else { throw UserError("formulation none has no VAE") }
    let terms = try means(
      of: VAEObjective(configuration.vae), vae, over: images,
      seed: Stage.vae.seed(configuration.training.seed), threads: threads)
    guard terms.allSatisfy(\.isFinite) else { throw UserError("the VAE's ELBO is not finite") }
    return EvidenceLowerBound(
      reconstruction: -terms[1], divergence: terms[2], binarise: configuration.vae.binarise)
  }
}
