import Formats
import Neural

/// A diffusion model of z as safetensors: the network's weights, as ``Weights`` writes them, and
/// three tensors `[latent]` beside them: `latents.active` (0 or 1), `latents.means` and
/// `latents.deviations`.
extension StandardisedLatents {
  var tensors: [String: Tensor] {
    func tensor(_ numbers: [Float]) -> Tensor { Tensor(shape: [numbers.count], elements: numbers) }
    return [
      "latents.active": tensor(means.indices.map { active.contains($0) ? 1 : 0 }),
      "latents.means": tensor(means.map { Float($0) }),
      "latents.deviations": tensor(deviations.map { Float($0) }),
    ]
  }

  /// Takes these tensors out of a file.
  ///
  /// - Throws: `FormatError` when one is missing or is not as it must be.
  init(from file: inout SafeTensors, latent: Int, path: String) throws {
    func problem(_ text: String) -> FormatError {
      FormatError(file: path, problem: "is no prior for this run: \(text)")
    }
    func take(_ name: String, _ isAllowed: (Float) -> Bool, _ allowed: String) throws -> [Float] {
      guard let tensor = file.tensors.removeValue(forKey: name), tensor.shape == [latent] else {
        throw problem("there must be a tensor \(name), [\(latent)]")
      }
      guard tensor.elements.allSatisfy(isAllowed) else {
        throw problem("tensor \(name) must have numbers that are \(allowed)")
      }
      return tensor.elements
    }
    let flags = try take("latents.active", { $0 == 0 || $0 == 1 }, "0 or 1")
    active = flags.indices.filter { flags[$0] == 1 }
    guard !active.isEmpty else { throw problem("no latent is active") }
    means = try take("latents.means", \.isFinite, "finite").map { Double($0) }
    deviations = try take("latents.deviations", { $0 > 0 && $0.isFinite }, "positive")
      .map { Double($0) }
  }
}

extension LatentDiffusion {
  /// - Parameter path: the file's name, for errors.
  /// - Throws: `FormatError` for anything but such a model.
  init(_ file: SafeTensors, _ settings: PriorSettings, latent: Int, path: String) throws {
    var file = file
    let latents = try StandardisedLatents(from: &file, latent: latent, path: path)
    try Weights.check(file, settings.footprint(latents: latents.active.count), path: path)
    try self.init(settings, latents, seed: 0)
    try Weights.decode(file, into: &network, path: path)
  }
}
