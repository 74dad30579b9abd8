import ArgumentParser
import DiffuseVAE

extension Corruption: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

/// The options of every command that looks at a run.
public struct RunArguments: ParsableArguments {
  @Option(help: "Run, by name or folder. (default: the newest complete one)")
  public var run: String?

  // Manual pages do not show what an option has been set to at its declaration: a default is said in its
  // help, and set where it is not given.

  @Option(
    name: .customLong("runs"),
    help: ArgumentHelp("Folder of all runs. (default: runs)", valueName: "folder"))
  var givenRuns: String?
  public var runs: String { givenRuns ?? "runs" }

  @Option(
    name: .customLong("seed"),
    help: "Seed of all random numbers, 0...18446744073709551615. (default: 0)")
  var givenSeed: UInt64?
  public var seed: UInt64 { givenSeed ?? 0 }

  @Option(
    name: .customLong("threads"),
    help: "Threads, 1...1024. The results do not depend on it. (default: one for each core)")
  var givenThreads: Int?
  public var threads: Int { givenThreads ?? Session.cores }

  public init() {}

  public func open() throws -> Run { try Run.toSample(run, in: runs) }
}

/// The options that every command which draws images has.
public struct SamplingArguments: ParsableArguments {
  @OptionGroup public var chosen: RunArguments

  @Option(
    parsing: .unconditional,
    help: """
      Steps of the sampler, 1 to the steps of the diffusion; exactly so many are taken. (default: the \
      configuration's sampling.steps)
      """)
  public var steps: Int?

  @Option(help: "What the VAE's z is drawn from. (default: the configuration's prior.kind)")
  public var prior: PriorSettings.Kind?

  @Option(
    parsing: .unconditional,
    help: """
      Class of the images, from 0 up, of a model that has classes. (default: all of them in turn)
      """)
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
