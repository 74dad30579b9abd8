import Formats
import Neural

/// A mixture as safetensors: `weights`, `[components]`; `means`, `[components, latent]`; and
/// `factors`, lower triangles L of covariances `L Lᵀ`, `[components, latent, latent]`, or standard
/// deviations, `[components, latent]`.
///
/// They are rounded to single precision, and only what was read back is ever drawn from.
extension GaussianMixture {
  func file(metadata: [String: String]) -> SafeTensors {
    func tensor(_ shape: [Int], _ numbers: [Double]) -> Tensor {
      Tensor(shape: shape, elements: numbers.map { Float($0) })
    }
    let tensors = [
      "weights": tensor([components], weights),
      "means": tensor([components, dimensions], means),
      "factors": tensor(Self.factorShape(components, dimensions, covariance), factors),
    ]
    return SafeTensors(metadata: metadata, tensors: tensors)
  }

  /// - Parameters:
  ///   - latent: dimensions that there must be.
  ///   - path: the file's name, for errors.
  /// - Throws: `FormatError` for anything but such a mixture.
  init(_ file: SafeTensors, latent: Int, covariance: Covariance, path: String) throws {
    func problem(_ text: String) -> FormatError {
      FormatError(file: path, problem: "is no prior for this run: \(text)")
    }
    let names = ["factors", "means", "weights"]
    guard file.tensors.keys.sorted() == names, let count = file.tensors["weights"]?.shape.first
    else { throw problem("its tensors must be \(names.joined(separator: ", "))") }
    let shapes = [
      "weights": [count], "means": [count, latent],
      "factors": Self.factorShape(count, latent, covariance),
    ]
    let numbers = try names.map { name in
      guard let tensor = file.tensors[name], tensor.shape == shapes[name] else {
        throw problem(
          "tensor \(name) is \(file.tensors[name]?.shape ?? []), expected \(shapes[name] ?? [])")
      }
      return tensor.elements.map { Double($0) }
    }
    do {
      try self.init(
        weights: numbers[2], means: numbers[1], factors: numbers[0], covariance: covariance)
    } catch {
      throw problem("\(error)")
    }
  }

  private static func factorShape(
    _ components: Int, _ dimensions: Int, _ covariance: Covariance
  ) -> [Int] {
    [components, dimensions] + (covariance == .full ? [dimensions] : [])
  }
}

extension LatentPrior {
  /// The prior of a run.
  ///
  /// - Parameter kind: another than the configuration's, if not nil; `normal` can always be had.
  /// - Throws: ``UserError`` when there is no such one, `FormatError` when its file is damaged or
  ///   belongs to another run.
  init(of run: Run, _ configuration: Configuration, _ kind: PriorSettings.Kind?) throws {
    let settings = configuration.prior
    let kind = kind ?? settings.kind
    guard configuration.hasVAE, kind != .normal else {
      self = .normal
      return
    }
    guard kind == settings.kind else {
      throw UserError(
        "\(run.folder): has no prior \(kind), its configuration says prior.kind \(settings.kind)")
    }
    let path = run.weightsFile(.prior)
    guard run.has(path) else {
      throw UserError(
        "\(run.folder): incomplete, prior.safetensors is missing; finish it with: \(run.resumption)"
      )
    }
    let file = try SafeTensors.read(path)
    try Model.check(file, .prior, configuration, path)
    let latent = configuration.vae.latent
    if kind == .diffusion {
      self = .diffusion(try LatentDiffusion(file, settings, latent: latent, path: path))
    } else {
      self = .mixture(
        try GaussianMixture(file, latent: latent, covariance: settings.covariance, path: path))
    }
  }
}
