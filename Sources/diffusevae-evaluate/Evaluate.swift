import ArgumentParser
import CommandSupport
import DiffuseVAE
import Evaluation

@main
struct Evaluate: Command {
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

  @Option(
    help: ArgumentHelp(
      "Configuration file of the data set, where no run is. (default: that of --run)",
      valueName: "file"))
  var config: String?

  @Flag(help: "Train the classifier of the data set first, if there is none yet.")
  var fit = false

  @Option(
    name: .customLong("extractors"),
    help: ArgumentHelp(
      "Folder of all classifiers. (default: extractors)", valueName: "folder"))
  var givenExtractors: String?
  var extractors: String { givenExtractors ?? "extractors" }

  @Option(
    help: ArgumentHelp(
      """
      Score these images instead of a run's: X.npy, [N, H, W, C], numbers in [0, 1] or bytes; X.npz with \
      such an array, images or arr_0, or one alone; or \
      a folder of PNGs. (default: those of the run)
      """, valueName: "path"))
  var samples: String?

  @Option(
    parsing: .unconditional,
    help: "Images of each row, 4...1000000. (default: as many as test images, or 10000)")
  var count: Int?

  @Option(
    help: ArgumentHelp(
      """
      Numbers of steps, 1 to those of the diffusion, like 1,10,1000:500 (the last by 500 images). \
      (default: the configuration's sampling.steps)
      """, valueName: "list"))
  var steps: StepList?

  @OptionGroup var sampler: SamplerArguments

  @Option(
    help: ArgumentHelp(
      """
      What the VAE's z is drawn from. Give it twice to compare two; images are refined under the \
      first. (default: the configuration's prior.kind, and normal)
      """, valueName: "prior"))
  var prior: [PriorSettings.Kind] = []

  @Option(
    help: ArgumentHelp(
      """
      Damage the VAE's image before it is refined: noise, blur, pixelate, occlude or salt-pepper, \
      and a level from 1 to 5, like blur:3. (default: none)
      """, valueName: "kind:level"))
  var corrupt: Corruption?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      """
      Move test images to another class in z by so many times the difference of the classes' mean \
      latents, and of their probes, and the way of --to-class: how many arrive, and how far their pixels \
      move. Finite numbers. (default: none)
      """, valueName: "strength"))
  var edits: [Double] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Walk so many paths through z, and as many through x_T, 2...100000: how many frames keep the class \
      of the first, and how far pixels and the VAE's code move. (default: none)
      """, valueName: "count"))
  var paths: Int?

  @Option(
    name: .customLong("stage"),
    help: """
      What to measure: vae, the VAE alone, which need be all there is; refined, images of new latents \
      alone; or all. (default: all)
      """)
  var givenStage: StageChoice?
  var stage: StageChoice { givenStage ?? .all }

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Estimate ln p(x), in nats, of the test images by the VAE, from so many samples for each, \
      1...1000000. (default: not at all)
      """, valueName: "samples"))
  var importance: Int?
  @OptionGroup var likelihoods: LikelihoodArguments

  @Option(
    help: ArgumentHelp(
      """
      Folder for evaluation.json, evaluation.md and sheets of images. (default: evaluation in the \
      run's folder, and none for --samples)
      """, valueName: "folder"))
  var out: String?

  func run() throws {
    let logger = try Session.begin("diffusevae-evaluate", threads: chosen.threads)
    let run = config == nil ? try chosen.open() : nil
    let configuration = try run?.configuration() ?? Configuration(file: config ?? "")
    let session = EvaluationSession(
      try Dataset(configuration.data, whole: true), extractors: extractors, fit: fit,
      threads: chosen.threads, logger: logger)
    guard let subject = try session.subject(run, samples: samples) else {
      try session.extractor()
      return
    }
    var request = EvaluationRequest(
      configuration, count: count ?? session.count(of: subject), threads: chosen.threads)
    request.options.seed = chosen.seed
    request.options.corruption = corrupt
    try sampler.apply(to: &request.options)
    try SamplerArguments.checkSteps(isGiven: steps != nil, request.options)
    request.steps = steps ?? request.steps
    request.priors = prior.isEmpty ? request.priors : prior
    (request.refines, request.showsVAE) = (stage != .vae, stage != .refined)
    (request.importance, request.edits, request.paths) = (importance, edits, paths)
    request.likelihood = likelihoods.request(chosen)
    let folder = out ?? (samples == nil ? run.map { "\($0.folder)/evaluation" } : nil)
    try session.evaluate(subject, request, folder: folder) { try Session.show($0) }
  }
}

extension StepList: ExpressibleByArgument {}
