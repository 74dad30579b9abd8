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
    discussion: "Images are 28×28 bytes of noise. scripts/benchmark measures all networks.")

  enum Net: String, CaseIterable, Codable, ExpressibleByArgument { case vae, mlp, unet }

  @Option(help: "The network that is trained.")
  var net = Net.unet

  @Option(help: "Images in a step.")
  var batch = 256

  @Option(help: "Steps that are timed.")
  var updates = 20

  @Option(help: "Lanes of a batch.")
  var lanes = 2

  @Option(help: "Threads.")
  var threads = Session.cores

  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp("Change a setting of the networks. Repeatable.", valueName: "key.path=value")
  )
  var overrides: [String] = []

  @Flag(help: "Print one line of JSON.")
  var json = false

  /// What is printed.
  struct Result: Codable {
    let net: Net
    let parameters, batch, lanes, threads: Int
    let kernels: String
    let training: Measurement
    /// Evaluations of the denoiser for one image, a second.
    let samplingRates: [Double]
  }

  func validate() throws {
    guard (1...1000).contains(updates) else { throw ValidationError("--updates is 1...1000") }
  }

  func run() throws {
    _ = try Session.begin("diffusevae-benchmark", threads: threads)
    let configuration = try Configuration(
      yaml: "data: {set: noise}\nprior: {kind: normal}", name: "benchmark",
      overriding: [
        "denoiser.kind=\(net == .unet ? "unet" : "mlp")", "training.lanes=\(lanes)",
        "training.vae.batch=\(batch)", "training.denoiser.batch=\(batch)",
      ] + overrides)
    let result = try measure(configuration)
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      encoder.keyEncodingStrategy = .convertToSnakeCase
      print(String(decoding: try encoder.encode(result), as: UTF8.self))
    } else {
      print(result)
    }
  }

  private func measure(_ configuration: Configuration) throws -> Result {
    let shape = ImageShape(height: 28, width: 28, channels: 1)
    try configuration.denoiser.check(shape: shape)
    let noise = RandomStream(seed: 0, purpose: .weights).uniform(
      rows: 0..<max(batch, 1024), columns: shape.count)
    let images = ByteImages(
      count: noise.rows, height: 28, width: 28, channels: 1, bytes: noise.bytes)
    let vae = VAE(configuration.vae, pixels: shape.count, seed: 0)
    let denoiser = configuration.network(shape: shape)
    func training<Goal: Objective>(
      _ objective: Goal, _ network: Goal.Network, _ stage: Stage
    ) throws -> Measurement {
      var trainer = try Trainer(
        objective, network, examples: images, settings: configuration.settings(of: stage),
        lanes: lanes, seed: 0, threads: threads)
      return try Measurement(of: &trainer, updates: updates, lanes: lanes, threads: threads)
    }
    func training(_ network: some Denoiser) throws -> Measurement {
      try training(DiffusionObjective(configuration, vae: vae), network, .denoiser)
    }
    let measurement =
      net == .vae ? try training(VAEObjective(), vae, .vae) : try training(denoiser)
    let model = try Model(configuration, shape: shape, vae: vae, denoiser: denoiser)
    return Result(
      net: net,
      parameters: configuration.footprint(of: net == .vae ? .vae : .denoiser, shape: shape)
        .parameters,
      batch: batch, lanes: lanes, threads: threads, kernels: BLAS.coreName, training: measurement,
      samplingRates: net == .vae ? [] : try samplingRates(model))
  }

  /// Three times, of some batches on every thread.
  private func samplingRates(_ model: Model) throws -> [Double] {
    var options = SamplingOptions(model.configuration.sampling, threads: threads)
    options.steps = max(1, min(10, updates / 2))
    let generator = try Generator(model, options)
    let count = 4 * threads * options.batch
    return try (0..<3).map { _ in
      let milliseconds = try Measurement.milliseconds { _ = try generator.images(0..<count) }
      return 1e3 * Double(count * options.steps) / milliseconds
    }.sorted()
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
        time      \(shares.joined(separator: ", ")), rest \(percent(rest))
        memory    \(one(Double(t.peakBytes) / 1e6)) MB at most; \
      \(one(t.allocatedBytes / 1e6)) MB allocated a step
      """
    if samplingRates.count == 3 {
      text += """

          sampling  \(one(samplingRates[1])) images·steps/s \
        (\(one(samplingRates[0]))…\(one(samplingRates[2])))
        """
    }
    return text
  }
}
