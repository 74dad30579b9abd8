import ArgumentParser
import DiffuseVAE

extension PriorSettings.Kind: ExpressibleByArgument {}
extension Corruption: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

/// The options of every command that looks at a run.
public struct RunArguments: ParsableArguments {
  @Option(help: "Run, by name or folder; the newest complete one if not given.")
  public var run: String?

  @Option(help: ArgumentHelp("Folder of all runs.", valueName: "folder"))
  public var runs = "runs"

  @Option(help: "Seed of all random numbers.")
  public var seed: UInt64 = 0

  @Option(help: "Threads, 1...1024. The results do not depend on it.")
  public var threads = Session.cores

  public init() {}

  public func open() throws -> Run { try Run.toSample(run, in: runs) }
}

/// The options that every command which draws images has.
public struct SamplingArguments: ParsableArguments {
  @OptionGroup public var chosen: RunArguments

  @Option(
    parsing: .unconditional,
    help: "Steps of the sampler, 1 to the steps of the diffusion; exactly so many are taken.")
  public var steps: Int?

  @Option(help: "What the VAE's z is drawn from; as the run's configuration has it if not given.")
  public var prior: PriorSettings.Kind?

  @Option(
    parsing: .unconditional,
    help: "Class of the images, of a model that has classes; all of them in turn if not given.")
  public var label: Int?

  public init() {}

  /// The run that is meant, its model, and how to draw from it as far as these options say.
  public func load(
    needsDenoiser: Bool = true, _ sampler: SamplerArguments? = nil, inverting: Bool = false
  ) throws -> (run: Run, model: Model, options: SamplingOptions) {
    let run = try chosen.open()
    let model = try Model(of: run, needsDenoiser: needsDenoiser, prior: prior)
    var options = SamplingOptions(model.configuration.sampling, threads: chosen.threads)
    try sampler?.apply(to: &options, inverting: inverting)
    try SamplerArguments.checkSteps(isGiven: steps != nil, options)
    options.steps = steps ?? options.steps
    options.seed = chosen.seed
    options.label = label
    return (run, model, options)
  }
}
