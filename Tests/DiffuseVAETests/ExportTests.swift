import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

private let folder = ProcessInfo.processInfo.environment["DIFFUSEVAE_EXPORT"]
private let reason: Comment = "DIFFUSEVAE_EXPORT, set by scripts/compare-with-pytorch, is not set"

/// What `scripts/compare-with-pytorch` compares: a file for each network, with its parameters, its
/// inputs, what it computed of them (`result/…`), and the derivatives of the loss.
///
/// Nothing in it is zero by construction, and batches have odd sizes and contents: both ends of
/// time, images of one value, and one far out of the data's range.
@Suite struct ExportTests {
  static let images = ["8x8x1", "12x4x3", "28x28x1"]

  @Test(
    "Writes VAEs with their derivatives", .enabled(if: folder != nil, reason),
    arguments: VAESettings.Likelihood.allCases, images)
  func vae(likelihood: VAESettings.Likelihood, image: String) throws {
    try vae(likelihood, image, "") { $0.beta = 0.7 }
  }

  @Test(
    "Writes VAEs of several levels and samples", .enabled(if: folder != nil, reason),
    arguments: VAESettings.Likelihood.allCases, VAESettings.Bound.allCases)
  func levels(likelihood: VAESettings.Likelihood, bound: VAESettings.Bound) throws {
    try vae(likelihood, "8x8x1", "-\(bound)-3") {
      ($0.objective, $0.samples) = (bound, 3)
    }
    try vae(likelihood, "8x8x1", "-labels-\(bound)") {
      ($0.objective, $0.samples, $0.classes) = (bound, 2, 3)
    }
    try vae(likelihood, "8x8x1", "-levels-\(bound)") {
      ($0.objective, $0.samples, $0.beta) = (bound, 4, bound == .elbo ? 0.7 : 1)
      ($0.upperLatents, $0.upperHidden) = ([4, 2], [9, 8])
    }
  }

  private func vae(
    _ likelihood: VAESettings.Likelihood, _ image: String, _ ending: String,
    _ change: (inout VAESettings) -> Void
  ) throws {
    let shape = try #require(ImageShape(image))
    var settings = VAESettings()
    settings.likelihood = likelihood
    change(&settings)
    settings.hidden = shape.count < 100 ? [40] : [128, 96]
    settings.latent = 5
    let vae = VAE(settings, pixels: shape.count, seed: 1).shaken(0.05)
    var pixels = normal(7, shape.count, seed: 2).sigmoid()
    for i in 0..<shape.count { (pixels[2, i], pixels[5, i]) = (0, 1) }
    let noise = normal(7 * settings.samples, vae.noiseColumns, seed: 3)
    let labels = settings.classes > 0 ? [0, 2, 1, 1, 0, 2, 0] : nil
    var gradients = Gradients(of: vae)
    let objective = VAEObjective(settings)
    let (terms, residuals) = objective.forward(
      vae, pixels, labels: labels, noise: noise, batch: 7, beta: settings.beta)
    objective.backward(vae, residuals, &gradients)
    let posterior = vae.encode(pixels, labels: labels)
    var inputs = [
      "pixels": pixels, "noise": noise, "beta": number(settings.beta),
      "weighted": number(settings.objective == .iwae ? 1 : 0),
    ]
    inputs["label"] = labels.map { oneHot($0, of: settings.classes, rows: 7) }
    let ofDraws = labels.map { $0.flatMap { [Int](repeating: $0, count: settings.samples) } }
    try write(
      "vae-\(likelihood)-\(image)\(ending)", vae, gradients, shape, inputs: inputs,
      results: [
        "mean": posterior.mean, "log_variance": posterior.logVariance,
        "image": vae.decode(residuals.vae.chain.latents[0], labels: ofDraws),
        "loss": number(terms[0]),
      ])
  }

  @Test(
    "Writes denoisers with their derivatives", .enabled(if: folder != nil, reason),
    arguments: [
      ("mlp", "8x8x1", "denoiser.blocks=1"), ("mlp", "12x4x3", "denoiser.features=6"),
      ("mlp", "28x28x1", "denoiser.width=256"),
      ("unet", "8x8x1", "denoiser.channels=[16, 24]"), ("unet", "12x4x3", "denoiser.channels=[8]"),
      ("unet", "16x8x3", "denoiser.channels=[16, 8, 24, 32]"),
      ("unet", "28x28x1", "denoiser.channels=[32, 64, 64]"),
      ("mlp", "6x6x1", "diffusion.classes=3"), ("mlp", "6x6x3", "diffusion.learn_variance=true"),
      ("unet", "4x4x1", "diffusion.classes=3"), ("unet", "4x4x3", "diffusion.learn_variance=true"),
    ], [true, false])
  func denoiser(network: (kind: String, image: String, setting: String), condition: Bool) throws {
    let shape = try #require(ImageShape(network.image))
    // A VAE must be told the labels, too.
    let labels = condition && network.setting == "diffusion.classes=3" ? ["vae.classes=3"] : []
    let configuration = try Configuration(
      yaml: "", name: "export",
      overriding: [
        "denoiser.kind=\(network.kind)", "denoiser.width=48", "denoiser.embedding=40",
        "diffusion.formulation=\(condition ? "concat" : "none")", network.setting,
      ] + labels)
    func write<Network: Denoiser>(_ denoiser: Network) throws {
      let denoiser = denoiser.shaken(0.05)
      let timesteps: [Double] = [0, 999, 500, 7, 123]
      var x = normal(5, shape.count, seed: 4)
      // Half of one image is blank. If all of it were, a norm would divide rounding errors by
      // nearly nothing, and single precision, PyTorch's too, be off by more than is allowed.
      for i in 0..<shape.count / 2 { x[1, i] = 0 }
      for i in 0..<shape.count { (x[2, i], x[3, i]) = (-1, 20 * x[3, i]) }
      let seen = condition ? normal(5, shape.count, seed: 5).clamped(to: -1...1) : nil
      let features =
        configuration.conditionFeatures > 0
        ? normal(5, configuration.conditionFeatures, seed: 7) : nil
      let weights: [Float] = [0.2, 1, 0.5, 0.01, 2]
      var gradients = Gradients(of: denoiser)
      let (output, residuals) = denoiser.forward(
        x, condition: Condition(image: seen, features: features), timesteps: timesteps,
        dropout: nil)
      let target = normal(5, output.columns, seed: 6)
      let (loss, derivative) = squaredError(output, target, weights: weights)
      denoiser.backward(derivative, residuals, &gradients)
      var inputs = [
        "x": x, "target": target, "weights": Matrix(1, 5, weights),
        "timesteps": Matrix(1, 5, timesteps.map { Float($0) }),
      ]
      (inputs["condition"], inputs["seen"]) = (seen, features)
      try self.write(
        "\(network.kind)-\(shape)\(condition ? "" : "-unconditional")", denoiser, gradients, shape,
        inputs: inputs, results: ["output": output, "loss": number(loss)])
    }
    try write(configuration.network(shape: shape))
  }

  private func number(_ x: Double) -> Matrix { Matrix(1, 1, [Float(x)]) }

  private func write(
    _ name: String, _ network: some Parameterized, _ gradients: Gradients, _ shape: ImageShape,
    inputs: [String: Matrix], results: [String: Matrix]
  ) throws {
    var tensors: [String: Tensor] = [:]
    network.forEachParameter { name, parameter in
      tensors["parameter/\(name)"] = Tensor(parameter.value)
      tensors["gradient/\(name)"] = Tensor(gradients[parameter].value)
    }
    for (name, value) in inputs { tensors["input/\(name)"] = Tensor(value) }
    for (name, value) in results { tensors["result/\(name)"] = Tensor(value) }
    let file = SafeTensors(metadata: ["image": shape.description], tensors: tensors)
    try File.writeAtomically(file.encoded(), to: "\(try #require(folder))/\(name).safetensors")
  }
}
