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
      images. The distances are those of the features of a small classifier of the data set; --fit \
      trains it, once for each data set. Without one, features are random.
      """)

  enum StageChoice: String, CaseIterable, ExpressibleByArgument { case vae, refined, all }

  @OptionGroup var chosen: RunArguments

  @Option(help: ArgumentHelp("Configuration of the data set, where no run is.", valueName: "file"))
  var config: String?

  @Flag(help: "Train the classifier of the data set first, if there is none yet.")
  var fit = false

  @Option(help: ArgumentHelp("Folder of all classifiers.", valueName: "folder"))
  var extractors = "extractors"

  @Option(
    help: ArgumentHelp(
      """
      Score these images instead of a run's: X.npy, [N, H, W, C], numbers in [0, 1] or bytes; or \
      a folder of PNGs.
      """, valueName: "path"))
  var samples: String?

  @Option(
    parsing: .unconditional,
    help: "Images of each row, 4...1000000; if not given, as many as test images, or 10000.")
  var count: Int?

  @Option(
    help: ArgumentHelp(
      "Numbers of steps, like 1,10,1000:500 (the last by 500 images); the run's if not given.",
      valueName: "list"))
  var steps: StepList?

  @OptionGroup var sampler: SamplerArguments

  @Option(
    help: ArgumentHelp(
      """
      What the VAE's z is drawn from. Give it twice to compare two; images are refined under the \
      first. The configuration's, and normal, if not given.
      """, valueName: "prior"))
  var prior: [PriorSettings.Kind] = []

  @Option(
    help: """
      What to measure: the VAE alone, which need be all there is; refined images of new latents \
      alone; or all.
      """)
  var stage = StageChoice.all

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Estimate ln p(x) of the test images by the VAE, from so many samples for each, 1...1000000.",
      valueName: "samples"))
  var importance: Int?
  @OptionGroup var likelihoods: LikelihoodArguments

  @Option(
    help: ArgumentHelp(
      """
      Folder for evaluation.json, evaluation.md and sheets of images. If not given, evaluation in \
      the run's folder, and none for --samples.
      """, valueName: "folder"))
  var out: String?

  func validate() throws {
    guard count.map(Reference.counts.contains) ?? true else {
      throw ValidationError("--count is \(count ?? 0); it must be in \(Reference.counts)")
    }
    guard config == nil || chosen.run == nil && (fit || samples != nil) else {
      throw ValidationError("--config is for --fit and --samples, and not together with --run")
    }
    guard
      samples == nil
        || count == nil && steps == nil && prior.isEmpty && sampler.isEmpty
          && likelihoods.isEmpty
    else {
      throw ValidationError(
        "--samples takes no --count, --steps, --prior, --likelihood or sampler's option")
    }
    guard
      config == nil || samples != nil
        || count == nil && steps == nil && prior.isEmpty && sampler.isEmpty && out == nil
    else {
      throw ValidationError("--config with --fit alone trains a classifier and measures nothing")
    }
    guard config == nil || likelihoods.isEmpty else {
      throw ValidationError("--likelihood is of a run, not of a --config")
    }
    guard samples == nil && config == nil || stage == .all && importance == nil else {
      throw ValidationError("--stage and --importance are for a run")
    }
    guard stage != .vae || steps == nil && sampler.isEmpty && likelihoods.isEmpty else {
      throw ValidationError("--stage vae takes no --steps, no sampler and no --likelihood")
    }
    guard stage != .refined || prior.count < 2 else {
      throw ValidationError("--stage refined takes one --prior: it does not show the VAE alone")
    }
    guard importance.map((1...1_000_000).contains) ?? true else {
      throw ValidationError("--importance is \(importance ?? 0); it must be in 1...1000000")
    }
    for (name, path) in [("--extractors", extractors), ("--out", out)] where path == "" {
      throw ValidationError("\(name) must name a folder")
    }
  }

  func run() throws {
    let logger = try Session.begin("diffusevae-evaluate", threads: chosen.threads)
    let run = config == nil ? try chosen.open() : nil
    let configuration = try run?.configuration() ?? Configuration(file: config ?? "")
    let session = EvaluationSession(
      try Dataset(configuration.data), extractors: extractors, fit: fit, threads: chosen.threads,
      logger: logger)
    guard let subject = try session.subject(run, samples: samples) else {
      try session.extractor()
      return
    }
    var request = EvaluationRequest(
      configuration, count: count ?? session.count(of: subject), threads: chosen.threads)
    request.options.seed = chosen.seed
    try sampler.apply(to: &request.options)
    try SamplerArguments.checkSteps(isGiven: steps != nil, request.options)
    request.steps = steps ?? request.steps
    request.priors = prior.isEmpty ? request.priors : prior
    (request.refines, request.showsVAE) = (stage != .vae, stage != .refined)
    request.importance = importance
    request.likelihood = likelihoods.request(chosen)
    let folder = out ?? (samples == nil ? run.map { "\($0.folder)/evaluation" } : nil)
    try session.evaluate(subject, request, folder: folder, show: Session.show)
  }
}

extension StepList: ExpressibleByArgument {}
