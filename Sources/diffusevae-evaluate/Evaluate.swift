import ArgumentParser
import DiffuseVAE
import Evaluation
import SamplingArguments

@main
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diffusevae-evaluate",
    abstract: "Measures how far generated images are from the training images.",
    discussion: """
      Without any option: the newest complete run, by as many images as its data set has test \
      images. Distances are between features of a small classifier of the data set's labels; --fit \
      trains it, once per data set. Without it features are random.
      """)

  @Option(
    name: .customLong("run"),
    help: ArgumentHelp(
      "Run, by name or folder; the newest complete one if not given.", valueName: "run"))
  var named: String?

  @Option(help: ArgumentHelp("Folder of all runs.", valueName: "folder"))
  var runs = "runs"

  @Option(
    help: ArgumentHelp(
      "Configuration whose data set is meant, where no run is: for --fit and --samples.",
      valueName: "file"))
  var config: String?

  @Flag(help: "Train the classifier of the data set first, if there is none yet.")
  var fit = false

  @Option(help: ArgumentHelp("Folder of all classifiers.", valueName: "folder"))
  var extractors = "extractors"

  @Option(
    help: ArgumentHelp(
      """
      Score these images instead of a run's: X.npy, [N, H, W, C] in [0, 1] or bytes, or a folder \
      of PNGs.
      """, valueName: "path"))
  var samples: String?

  @Option(help: "Images of each row, 4...1000000; as many as there are test images if not given.")
  var count: Int?

  @Option(
    help: ArgumentHelp(
      """
      Numbers of steps to refine in, like 1,10,100,1000:500; the last means by 500 images only. \
      As the run's configuration has it if not given.
      """, valueName: "list"))
  var steps: StepList?

  @OptionGroup var sampler: SamplerArguments

  @Option(
    help: ArgumentHelp(
      """
      What the VAE's z is drawn from; repeat it to compare the VAE under several, the first of \
      which is refined. The configuration's, and normal, if not given.
      """, valueName: "prior"))
  var prior: [PriorSettings.Kind] = []

  @Option(
    help: ArgumentHelp(
      "Folder for evaluation.json, evaluation.md and sheets; evaluation in the run's if not given.",
      valueName: "folder"))
  var out: String?

  @Option(help: "Seed of all random numbers.")
  var seed: UInt64 = 0

  @Option(help: "Threads, 1...1024. The results do not depend on it.")
  var threads = Session.cores

  func validate() throws {
    guard count.map({ (4...1_000_000).contains($0) }) ?? true else {
      throw ValidationError("--count is \(count ?? 0); it must be in 4...1000000")
    }
    guard config == nil || named == nil && (fit || samples != nil) else {
      throw ValidationError("--config is for --fit and --samples, and not together with --run")
    }
  }

  func run() throws {
    let logger = try Session.begin("diffusevae-evaluate", threads: threads)
    let run = config == nil ? try Run.toSample(named, in: runs) : nil
    let configuration = try run.map { try $0.configuration() } ?? Configuration(file: config ?? "")
    let data = try Dataset(configuration.data)
    let session = EvaluationSession(data, seed: seed, threads: threads, logger: logger)
    let extractor = try session.extractor(in: extractors, fit: fit)
    if run == nil && samples == nil { return }
    var request = EvaluationRequest(configuration, count: count ?? session.count, threads: threads)
    request.options.seed = seed
    try sampler.apply(to: &request.options)
    request.steps = steps?.entries ?? request.steps
    request.priors = prior.isEmpty ? request.priors : prior
    let folder = out ?? (samples == nil ? run.map { "\($0.folder)/evaluation" } : nil)
    try session.evaluate(
      run, samples: samples, by: extractor, request, folder: folder
    ) { print($0) }
    if let folder { logger.info("written to \(folder)") }
  }
}
