import ArgumentParser
import CommandSupport
import DiffuseVAE
import Neural

/// The options for what is changed of that which images are made of.
struct ChangeArguments: ParsableArguments {
  enum Shared: String, CaseIterable, ExpressibleByArgument { case z, xT }

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      """
      Add to z the mean latent of each of these: class:3, dataset:7, files, as --from takes them. \
      (default: none)
      """, valueName: "images"))
  var plus: [ImageSource] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Take from z the mean latent of each of these images. (default: none)", valueName: "images"))
  var minus: [ImageSource] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Move z towards a class, from 0 up, along the normal of the plane that parts its latents from the \
      others, by --strength deviations of the training images. (default: none)
      """, valueName: "class"))
  var probe: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Move z to a class, from 0 up, to the same place among its latents that it has among its own's. \
      (default: none)
      """, valueName: "class"))
  var toClass: Int?

  @Option(
    parsing: .unconditional,
    help: """
      Multiplies --plus, --minus, --probe and the way of --to-class; any finite number. (default: 1)
      """)
  var strength: Double?

  @Option(
    help: """
      Draw all images from the first one's z, or its xT and every step's noise. (default: each has its \
      own)
      """)
  var share: Shared?

  @Option(
    help: ArgumentHelp(
      """
      Damage the VAE's image before it is refined: noise, blur, pixelate, occlude or salt-pepper, \
      and a level from 1 to 5, like blur:3. (default: none)
      """, valueName: "kind:level"))
  var corrupt: Corruption?

  @Option(
    name: .customLong("noise-temperature"), parsing: .unconditional,
    help: "Scales x_T: a factor from 0 up. (default: 1)")
  var givenNoiseTemperature: Double?
  var noiseTemperature: Double { givenNoiseTemperature ?? 1 }

  private var edit: LatentEdit {
    var edit = LatentEdit()
    (edit.plus, edit.minus, edit.probe) = (plus, minus, probe)
    edit.strength = strength ?? edit.strength
    return edit
  }

  var isOfStageTwo: Bool { share == .xT || noiseTemperature != 1 }

  func validate() throws {
    guard strength == nil || toClass != nil || !edit.isEmpty else {
      throw ValidationError("--strength is of --plus, --minus, --probe or --to-class")
    }
  }

  /// What is added to z; nil for nothing.
  func direction(for model: Model, threads: Int) throws -> Matrix? {
    guard share != .z || model.vae != nil else {
      throw UserError("formulation none has no VAE, and so no z to share")
    }
    return edit.isEmpty ? nil : try model.direction(of: edit, threads: threads)
  }

  /// The way to the class that z is to be moved to.
  func way(for model: Model, threads: Int) throws -> ClassWay? {
    guard Float(edit.strength).isFinite else { throw UserError("strength must be a finite number") }
    return try toClass.map { try model.classGaussians(threads: threads).way(to: $0) }
  }

  func apply(_ direction: Matrix?, _ way: ClassWay?, to drafts: [Draft]) -> [Draft] {
    let shared =
      switch share {
      case .z: drafts.sharingZ()
      case .xT: drafts.sharingNoise()
      case nil: drafts
      }
    let moved = direction.map { shared.moved(by: $0) } ?? shared
    return way.map { moved.moved(along: $0, strength: edit.strength) } ?? moved
  }
}
