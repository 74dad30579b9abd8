import ArgumentParser
import DiffuseVAE
import Formats
import Foundation
import Neural

@main
struct Benchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diffusevae-benchmark",
    abstract: "Measures what training and sampling cost, and where the time goes.",
    discussion: "Images are noise. scripts/benchmark measures all networks.")

  enum Net: String, CaseIterable, Codable, ExpressibleByArgument { case vae, mlp, unet }

  @Option(help: "The network that is trained.")
  var net = Net.unet

  @Option(help: "Images in a step of training, a multiple of --lanes.")
  var batch = 256

  @Option(
    name: .customLong("image"),
    help: ArgumentHelp("Size of the images.", valueName: "HxWxC"),
    transform: { text in
      guard let shape = ImageShape(text), shape.isDrawable else {
        throw ValidationError("--image is like 28x28x1, of at most 2²⁰ numbers")
      }
      return shape
    })
  var shape = ImageShape(height: 28, width: 28, channels: 1)

  @Option(help: "Steps that are timed, 1...1000.")
  var updates = 20

  @Option(help: "Lanes of a batch.")
  var lanes = 2

  @Option(help: "Threads, 1...1024.")
  var threads = Session.cores

  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp("Change a setting. Repeatable.", valueName: "key.path=value"))
  var overrides: [String] = []

  @Flag(help: "Print one line of JSON.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "Measure nothing: write the networks' first weights there.", valueName: "folder"))
  var export: String?

  /// What is printed.
  struct Result: Codable {
    let net: Net
    let parameters, batch, lanes, threads: Int
    /// What a training was expected to take of memory, in bytes.
    let estimatedBytes: Int
    let kernels: String
    let training: Measurement
    let sampling: Sampling?
  }

  /// Drawing images, all of it: prior, decoder, every step of the sampler.
  struct Sampling: Codable {
    let batch, steps: Int
    /// Images times steps in a second, three times, in order.
    let rates: [Double]
  }

  func validate() throws {
    guard (1...1000).contains(updates) else { throw ValidationError("--updates is 1...1000") }
    guard lanes > 0, batch > 0, batch.isMultiple(of: lanes) else {
      throw ValidationError("--batch must be a multiple of --lanes")
    }
  }

  func run() throws {
    _ = try Session.begin("diffusevae-benchmark", threads: threads)
    // The last of several values of a setting counts.
    let configuration = try Configuration(
      yaml: "data: {set: noise}\nprior: {kind: normal}", name: "benchmark",
      overriding: overrides + [
        "denoiser.kind=\(net == .unet ? "unet" : "mlp")", "training.lanes=\(lanes)",
        "training.vae.batch=\(batch)", "training.denoiser.batch=\(batch)",
      ])
    let stage = net == .vae ? Stage.vae : .denoiser
    try configuration.denoiser.check(shape: shape)
    let count = max(batch, 1024)
    let estimate =
      configuration.trainingBytes(of: stage, shape: shape, threads: threads) + count * shape.count
    // The noise is made as single-precision numbers.
    try checkMemory(bytes: estimate + 4 * count * shape.count, "a batch of \(batch) images")
    if let export { return try write(configuration, to: export) }
    let result = try measure(configuration, stage, images: count, expecting: estimate)
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      encoder.keyEncodingStrategy = .convertToSnakeCase
      print(String(decoding: try encoder.encode(result), as: UTF8.self))
    } else {
      print(result)
    }
  }

  /// `vae.safetensors`, and the denoiser under the name of its network.
  private func write(_ configuration: Configuration, to folder: String) throws {
    func write(_ network: some Parameterized, _ name: String) throws {
      try Weights.file(of: network, metadata: ["image": shape.description])
        .write(to: "\(folder)/\(name).safetensors")
    }
    try write(VAE(configuration.vae, pixels: shape.count, seed: 0), "vae")
    if net != .vae { try write(configuration.network(shape: shape), net.rawValue) }
  }

  private func measure(
    _ configuration: Configuration, _ stage: Stage, images count: Int, expecting estimate: Int
  ) throws -> Result {
    let noise = RandomStream(seed: 0, purpose: .latent).uniform(
      rows: 0..<count, columns: shape.count)
    let images = ByteImages(
      count: count, height: shape.height, width: shape.width, channels: shape.channels,
      bytes: noise.bytes)
    func training<Goal: Objective>(
      _ objective: Goal, _ network: consuming Goal.Network
    ) throws -> Measurement {
      var trainer = try Trainer(
        objective, network, examples: images, settings: configuration.settings(of: stage),
        lanes: lanes, seed: 0, threads: threads)
      return try Measurement(of: &trainer, updates: updates, lanes: lanes, threads: threads)
    }
    func training<Network: ConfiguredDenoiser>(
      of _: Network.Type, _ vae: VAE?
    ) throws -> Measurement {
      try training(
        DiffusionObjective(configuration, vae: vae), Network(configuration, shape: shape))
    }
    // Nothing is made before it is needed: peak memory is one of the figures.
    func vae() -> VAE { VAE(configuration.vae, pixels: shape.count, seed: 0) }
    let (measured, model): (Measurement, Model?)
    if net == .vae {
      (measured, model) = (try training(VAEObjective(configuration.vae), vae()), nil)
    } else {
      let vae = configuration.hasVAE ? vae() : nil
      measured = try training(of: configuration.denoiser.kind.network, vae)
      model = try Model(
        configuration, shape: shape, vae: vae, denoiser: configuration.network(shape: shape))
    }
    return Result(
      net: net, parameters: configuration.footprint(of: stage, shape: shape).parameters,
      batch: batch, lanes: lanes, threads: threads, estimatedBytes: estimate,
      kernels: BLAS.coreName, training: measured, sampling: try model.map(sampling))
  }

  private func sampling(_ model: Model) throws -> Sampling {
    let options = SamplingOptions(model.configuration.sampling, threads: threads)
    let generator = try Generator(model, options)
    let count = 4 * threads * generator.batch
    let rates = try (0..<3).map { _ in
      let milliseconds = try Measurement.milliseconds { _ = try generator.images(0..<count) }
      return 1e3 * Double(count * options.steps) / milliseconds
    }
    return Sampling(batch: generator.batch, steps: options.steps, rates: rates.sorted())
  }
}

extension Benchmark.Result: CustomStringConvertible {
  var description: String {
    let t = training
    func one(_ x: Double) -> String { String(format: "%.1f", x) }
    func percent(_ x: Double) -> String { String(format: "%.0f %%", 100 * x) }
    let rest = 1 - t.shares.values.reduce(0, +)
    let shares = t.shares.sorted { $0.value > $1.value }.map { "\($0.key) \(percent($0.value))" }
    var text = """
      \(net.rawValue): \(parameters) parameters, batch \(batch), \(lanes) lanes, \(threads) threads, \
      OpenBLAS \(kernels)
        step      \(one(t.median)) ms (\(one(t.milliseconds[0]))…\(one(t.milliseconds.last ?? 0))), \
      \(one(1e3 * Double(batch) / t.median)) images/s
        products  \(one(t.productMilliseconds)) ms alone: \
      \(percent(t.productMilliseconds / t.median)) of the step, \
      \(one(1e3 * t.productGigaoperations / t.productMilliseconds)) GFLOP/s
        time      \(shares.joined(separator: ", ")), rest and waiting \(percent(rest))
        memory    \(one(Double(t.peakBytes) / 1e6)) MB at most, \
      \(one(Double(estimatedBytes) / 1e6)) MB expected; \
      \(one(t.allocatedBytes / 1e6)) MB allocated a step
      """
    if let sampling {
      text += """

          sampling  \(one(sampling.rates[1])) images·steps/s \
        (\(one(sampling.rates[0]))…\(one(sampling.rates[2]))), \(sampling.steps) steps, \
        \(sampling.batch) images together
        """
    }
    return text
  }
}
