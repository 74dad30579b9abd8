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
      trained, 75 when --max-time was over before, 128 and the signal's number when interrupted, 74 when the \
      system refuses to read or write a file, 64 for options that make no sense, 1 for everything else.
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

  // Manual pages do not show what an option has been set to at its declaration: a default is said in its
  // help, and set where it is not given.

  @Option(
    help: ArgumentHelp(
      "Configuration file (YAML), of a new run. (default: none; --resume goes on with a run)",
      valueName: "file"))
  var config: String?

  @Option(
    name: .customLong("stage"),
    help: """
      What to train: vae, diffusion, which takes stage one from a run of the same configuration, or \
      all. (default: all)
      """)
  var givenStage: StageChoice?
  var stage: StageChoice { givenStage ?? .all }

  @Option(
    defaultAsFlag: "",
    help: ArgumentHelp(
      """
      Go on with a run, by name or folder; the newest unfinished one if none is named. auto, with \
      --config: the run of --name, or of the configuration file's name, if it is there; else a new \
      one. (default: a new run)
      """, valueName: "run"))
  var resume: String?

  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp(
      """
      Change a setting of the configuration: --settings lists all, with what is allowed. Repeatable. \
      (default: none)
      """, valueName: "key.path=value"))
  var overrides: [String] = []

  @Option(
    help: """
      Name of the new run: letters, digits, '_', '-' and '.'. (default: the configuration file's, \
      numbered)
      """)
  var name: String?

  @Option(
    name: .customLong("runs"),
    help: ArgumentHelp("Folder of all runs. (default: runs)", valueName: "folder"))
  var givenRuns: String?
  var runs: String { givenRuns ?? "runs" }

  @Option(
    name: .customLong("threads"),
    help: "Threads, 1...1024. The results do not depend on it. (default: one for each core)")
  var givenThreads: Int?
  var threads: Int { givenThreads ?? Session.cores }

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Stop after so many minutes, above 0, at most 1000000, with a checkpoint; the step is finished \
      first. (default: no limit)
      """, valueName: "minutes"))
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
    logger.info("\(run.folder): \(data.name), \(data.training.count) images of \(data.shape)")
    logger.info("\(Session.describe(threads: threads))")
    let training = Training(
      run, configuration, data: data, threads: threads, logger: logger,
      time: maxTime.map { .seconds(60 * $0) }, command: CommandLine.arguments)
    let result = Result { try training.train(stages) }
    do {
      try run.summarise()
    } catch {
      logger.warning("the run's report is not written: \(error)")
    }
    guard try result.get() else {
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
