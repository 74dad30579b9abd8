import Neural
import RealModule

/// Variational autoencoder of MLPs (Kingma & Welling 2013). Pixels are in [0, 1].
///
/// What is called z is z1, the lowest level of latents, where there are several.
public struct VAE: Parameterized {
  public typealias Likelihood = VAESettings.Likelihood

  var encoder: MLP  // pixels → [mean | ln variance] of z
  var decoder: MLP  // z → logits (Bernoulli) or means (Gaussian) of the pixels
  var logVariance: Parameter?  // [1, 1], ln of the variance of every pixel (Gaussian)
  var upper: [LatentLevel] = []  // from z1 to z2, from z2 to z3, …
  let likelihood: Likelihood
  /// 0 if it is not told the images' classes.
  let classes: Int

  /// - Parameter pixels: numbers in one image.
  public init(_ settings: VAESettings, pixels: Int, seed: UInt64) {
    var source = ParameterSource(seed: seed)
    let (hidden, activation) = (settings.hidden, settings.activation)
    classes = settings.classes
    encoder = MLP(
      [pixels + classes] + hidden + [2 * settings.latent], &source, activation: activation)
    decoder = MLP(
      [settings.latent + classes] + hidden.reversed() + [pixels], &source, activation: activation)
    likelihood = settings.likelihood
    // Starts at a standard deviation of 0.22, about that of an image's pixels.
    logVariance = likelihood == .gaussian ? source.constant(1, 1, -3) : nil
    let upperHidden = settings.upperHidden
    for (below, above) in settings.levels {
      let encoder = MLP([below] + upperHidden + [2 * above], &source, activation: activation)
      let decoder = MLP(
        [above] + upperHidden.reversed() + [2 * below], &source, activation: activation)
      upper.append(LatentLevel(encoder: encoder, decoder: decoder))
    }
  }

  /// Dimensions of z.
  public var latent: Int { decoder.inputs - classes }

  /// x or z as the networks see them, where there are classes with the label, one-hot, beside it.
  func labelled(_ rows: Matrix, _ labels: [Int]?) -> Matrix {
    classes == 0 ? rows : rows.joined(oneHot(labels, of: classes, rows: rows.rows))
  }

  /// q(z|x) for every image of `[batch, pixels]`.
  ///
  /// - Parameter labels: the images' classes, of use where the VAE is told them.
  public func encode(_ pixels: Matrix, labels: [Int]?) -> DiagonalGaussian {
    DiagonalGaussian(encoder(labelled(pixels, labels)))
  }

  /// The mean image for every row of `[batch, latent]`, pixels in [0, 1] (Bernoulli) or near it
  /// (Gaussian).
  public func decode(_ z: Matrix, labels: [Int]?) -> Matrix {
    mean(ofOutput: decoder(labelled(z, labels)))
  }

  /// The mean images of the decoder's output.
  func mean(ofOutput output: Matrix) -> Matrix {
    likelihood == .bernoulli ? output.sigmoid() : output
  }

  /// From derivatives by `mean`, the mean images of some output, those by the output.
  func throughMean(_ derivatives: Matrix, _ mean: Matrix) -> Matrix {
    likelihood == .bernoulli ? derivatives.throughSigmoid(mean) : derivatives
  }

  /// x̂0 in the range of the diffusion's data, [-1, 1].
  public func reconstruction(_ z: Matrix, labels: [Int]?) -> Matrix {
    decode(z, labels: labels).affine(2, -1)
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try encoder.visit(path + ".encoder", body)
    try decoder.visit(path + ".decoder", body)
    if var parameter = logVariance {
      try body(path + ".log_variance", &parameter)
      logVariance = parameter
    }
    try upper.visit(path + ".upper", body)
  }
}
