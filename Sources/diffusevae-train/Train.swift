import ArgumentParser
import DiffuseVAE

@main
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diffusevae-train",
    abstract:
      "Trains a DiffuseVAE: stage one, a VAE; stage two, a diffusion model that refines it.",
    discussion: """
      A run is a folder under --runs, named after the configuration file. Ctrl-C finishes the step \
      and writes a checkpoint; --resume goes on from it with the same bits.
      """)

  enum StageChoice: String, CaseIterable, ExpressibleByArgument {
    case vae, diffusion, all

    var stage: Stage? {
      switch self {
      case .vae: .vae
      case .diffusion: .denoiser
      case .all: nil
      }
    }
  }

  @Option(help: ArgumentHelp("Configuration file (YAML).", valueName: "file"))
  var config: String?

  @Option(help: "What to train; diffusion takes stage one from a run of the same configuration.")
  var stage = StageChoice.all

  @Option(
    defaultAsFlag: "",
    help: ArgumentHelp(
      "Go on with a run; the newest unfinished one if none is named.", valueName: "run"))
  var resume: String?

  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp(
      "Change a setting of the configuration. Repeatable.", valueName: "key.path=value"))
  var overrides: [String] = []

  @Option(help: "Name of the new run; the configuration file's, numbered, if not given.")
  var name: String?

  @Option(help: ArgumentHelp("Folder of all runs.", valueName: "folder"))
  var runs = "runs"

  @Option(help: "Threads, 1...1024. The results do not depend on it.")
  var threads = Session.cores

  @Flag(help: "Print the resolved configuration, sizes, memory and time, and stop.")
  var dryRun = false

  @Flag(help: "Print every setting, its default and what is allowed, as a table, and stop.")
  var settings = false

  func run() throws {
    if settings { return try Session.show(Configuration.reference, terminator: "") }
    var request = TrainingRequest()
    request.configuration = config
    request.overrides = overrides
    request.stage = stage.stage
    request.resume = resume
    request.name = name
    request.runs = runs
    let logger = try Session.begin("diffusevae-train", threads: threads)
    let (known, configuration, data) = try request.resolve(threads: threads)
    let stages = try request.stages(of: configuration)
    if dryRun {
      let estimate = try Estimate(configuration, data: data, stages: stages, threads: threads)
      return try Session.show("\(configuration.yaml)\n\(estimate)")
    }
    let run = try request.begin(known, configuration)
    Interruption.install()
    logger.info("\(run.folder): \(data.name), \(data.training.count) images of \(data.shape)")
    logger.info("\(Session.describe(threads: threads))")
    let training = Training(run, configuration, data: data, threads: threads, logger: logger)
    guard try training.train(stages) else {
      logger.notice("go on with: \(run.resumption)")
      throw ExitCode(Interruption.exitCode)
    }
    if run.isComplete {
      logger.info("finished; the next thing to type: \(run.sampling)")
    } else {
      logger.info("go on with: \(run.resumption)")
    }
    try Session.show(run.folder)
  }
}
