import ArgumentParser
import CommandSupport
import DiffuseVAE

@main
struct Train: Command {
  static let configuration = CommandConfiguration(
    commandName: "diffusevae-train",
    abstract:
      "Trains a DiffuseVAE: stage one, a VAE; stage two, a diffusion model that refines it.",
    discussion: """
      A run is a folder under --runs, named after the configuration file. Ctrl-C finishes the step \
      and writes a checkpoint; --resume goes on from it with the same bits. Exits with 0 when all is \
      trained, 75 when --max-time was over before, 128 and the signal's number when interrupted, 74 when a \
      file cannot be read or written, 64 for options that make no sense, 1 for everything else.
      """,
    subcommands: [List.self, Compare.self, Report.self, Doctor.self])

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
      """
      Go on with a run; the newest unfinished one if none is named. auto, with --config: the run of \
      --name, or of the configuration file's name, if it is there; else a new one.
      """, valueName: "run"))
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

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Stop after so many minutes, with a checkpoint; the step is finished first.",
      valueName: "minutes"))
  var maxTime: Double?

  @Flag(help: "Print the resolved configuration, sizes, memory and time, and stop.")
  var dryRun = false

  @Flag(help: "Print every setting, its default and what is allowed, as a table, and stop.")
  var settings = false

  func validate() throws {
    guard maxTime.map({ $0 > 0 && $0 <= 1e6 }) ?? true else {
      throw ValidationError(
        "--max-time is \(maxTime ?? 0); it must be above 0, and at most 1000000")
    }
  }

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
    try run.record(command: CommandLine.arguments, threads: threads)
    logger.info("\(run.folder): \(data.name), \(data.training.count) images of \(data.shape)")
    logger.info("\(Session.describe(threads: threads))")
    let training = Training(
      run, configuration, data: data, threads: threads, logger: logger,
      time: maxTime.map { .seconds(60 * $0) })
    let isDone = try training.train(stages)
    try run.summarise()
    guard isDone else {
      logger.notice("go on with: \(run.resumption)")
      throw ExitCode(Interruption.isRequested ? Interruption.exitCode : 75)  // EX_TEMPFAIL
    }
    if run.isComplete {
      logger.info("finished; the next thing to type: \(run.sampling)")
    } else {
      logger.info("go on with: \(run.resumption)")
    }
    try Session.show(run.folder)
  }
}
