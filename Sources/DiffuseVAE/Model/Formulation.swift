import Neural

/// How the VAE's reconstruction x̂0 enters the diffusion: a change of variable, and nothing more
/// (Pandey et al. 2022, §3.2).
///
/// The diffusion itself always is the standard chain in y. Schedule, targets and samplers never
/// hear of x̂0; they see y, and these three functions stand between y and images. All images are
/// `[batch, pixels]`, pixels in [-1, 1].
///
/// | formulation | y0 | the network sees |
/// |---|---|---|
/// | concat (Formulation 1) | x0 | y_t |
/// | centred (Formulation 2) | x0 | y_t + x̂0 |
/// | residual | x0 - x̂0 | y_t + x̂0 |
/// | none | x0 | y_t |
///
/// Whether the network also gets x̂0 as a second input is independent of this.
typealias Formulation = DiffusionSettings.Formulation

extension Formulation {
  /// y0 of an image.
  func chain(fromImage x0: Matrix, _ reconstruction: Matrix?) -> Matrix {
    guard self == .residual, let reconstruction else { return x0 }
    var y0 = x0
    y0.add(-1, reconstruction)
    return y0
  }

  /// The image of a y0.
  func image(fromChain y0: Matrix, _ reconstruction: Matrix?) -> Matrix {
    guard self == .residual, let reconstruction else { return y0 }
    var x0 = y0
    x0.add(reconstruction)
    return x0
  }

  /// What the network is shown of y_t.
  func networkInput(_ y: Matrix, _ reconstruction: Matrix?) -> Matrix {
    guard self == .centred || self == .residual, let reconstruction else { return y }
    var x = y
    x.add(reconstruction)
    return x
  }
}
