import ArgumentParser
import DiffuseVAE
import SamplingArguments

/// The options for what is changed of that which images are made of.
struct ChangeArguments: ParsableArguments {
  enum Shared: String, CaseIterable, ExpressibleByArgument { case z, xT }

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Move z towards the mean latent of these: class:3, dataset:7, files.", valueName: "images"))
  var plus: [ImageSource] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Move z away from the mean latent of these.", valueName: "images"))
  var minus: [ImageSource] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Move z towards a class, along the normal of the plane that parts its latents from the others; in \
      deviations of the training images.
      """, valueName: "class"))
  var probe: Int?

  @Option(parsing: .unconditional, help: "Multiplies --plus, --minus and --probe. (default: 1)")
  var strength: Double?

  @Option(help: "Draw all images from the first one's z, or its x_T and every step's noise.")
  var share: Shared?

  @Option(parsing: .unconditional, help: "Scales x_T, from 0 up.")
  var noiseTemperature = 1.0

  private var edit: LatentEdit {
    var edit = LatentEdit()
    (edit.plus, edit.minus, edit.probe) = (plus, minus, probe)
    edit.strength = strength ?? edit.strength
    return edit
  }

  func validate() throws {
    guard strength == nil || !edit.isEmpty else {
      throw ValidationError("--strength is of --plus, --minus or --probe")
    }
  }

  func apply(to drafts: [Draft], _ model: Model, threads: Int) throws -> [Draft] {
    var drafts = drafts
    switch share {
    case .z: drafts = drafts.sharingZ()
    case .xT: drafts = drafts.sharingNoise()
    case nil: break
    }
    guard !edit.isEmpty else { return drafts }
    return drafts.moved(by: try model.direction(of: edit, threads: threads))
  }
}
