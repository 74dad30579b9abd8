import DiffuseVAE
import Formats
import Neural

/// Test images moved to another class in z, all else unchanged.
struct Edits {
  enum Kind: String, CaseIterable {
    /// From the mean latent of the image's class to that of the other.
    case means
    /// Along the probe of the other class and against that of its own; see ``LatentEdit/probe``.
    case probe
    /// To the same place among the latents of the other class; see ``ClassGaussians``.
    case transport
  }

  /// The class that each image is moved to: all others in turn.
  let targets: [Int]
  private let drafts: [Draft]
  private let own: [Int]
  private let directions: [Kind: [Matrix]]
  /// To every class; nil where one has too few images to say how its latents are spread.
  private let ways: [ClassWay]?
  /// Refined as they are.
  private let unedited: Matrix
  /// How far these are from another image of the class that they are moved to, on average.
  private let distance: Double

  /// - Parameters:
  ///   - test: with labels.
  ///   - classes: of the training images.
  /// - Throws: ``UserError`` when there is nothing to move, or nowhere to move it to.
  init(
    of test: ByteImages, _ model: Model, _ generator: Generator, classes: Int, threads: Int
  ) throws {
    let training = try model.dataset().training
    guard let vae = model.vae, let own = test.labels?.map({ Int($0) }),
      let labels = training.labels?.map({ Int($0) })
    else {
      throw UserError("edits are of a VAE's latents and between classes, which must be known")
    }
    let posteriors = try vae.posteriors(
      of: training, Array(0..<training.count), threads: threads)
    let z = posteriors.mean
    guard classes > 1, own.allSatisfy({ $0 < classes }) else {
      throw UserError(
        "edits are between the classes of the training images, of which there must be two")
    }
    let ofClass = (0..<classes).map { label in labels.indices.filter { labels[$0] == label } }
    if let missing = ofClass.firstIndex(where: \.isEmpty) {
      throw UserError("there is no training image of class \(missing) to move others to")
    }
    directions = [
      .means: ofClass.map { numbers in
        Matrix(1, z.columns, z.rows(at: numbers).columnMeans.map { Float($0) })
      },
      .probe: try (0..<classes).map { label in try posteriors.probe(labels.map { $0 == label }) },
    ]
    do {
      let gaussians = try ClassGaussians(of: posteriors, labels: labels, threads: threads)
      ways = try (0..<classes).map { try gaussians.way(to: $0) }
    } catch is UserError {
      ways = nil
    }
    let targets = own.enumerated().map { ($1 + 1 + $0 % (classes - 1)) % classes }
    let drafts = try generator.drafts(of: test, inverting: false)
    // A training image of the other class, with the noise of this one.
    let others = targets.enumerated().map { place, target in
      var draft = drafts[place]
      let number = ofClass[target][place % ofClass[target].count]
      draft.z = z.rows(number..<number + 1)
      return draft
    }
    unedited = try generator.refine(drafts)
    distance = meanDistance(try generator.refine(others), unedited)
    (self.targets, self.drafts, self.own) = (targets, drafts, own)
  }

  /// Those that there are.
  var kinds: [Kind] { Kind.allCases.filter { $0 != .transport || ways != nil } }

  /// - Parameter strength: 1 is from one class to the other, or one deviation along either probe; of a
  ///   transport, all the way.
  func drafts(_ kind: Kind, strength: Double) -> [Draft] {
    drafts.indices.map { place in
      guard let directions = directions[kind] else {
        let way = ways?[targets[place]]
        return way.map { [drafts[place]].moved(along: $0, strength: strength)[0] } ?? drafts[place]
      }
      var direction = directions[targets[place]]
      direction.add(-1, directions[own[place]])
      return [drafts[place]].moved(by: direction.affine(Float(strength), 0))[0]
    }
  }

  /// How far refined images are from the unedited ones, over ``distance``.
  func moved(_ images: Matrix) -> Double { meanDistance(images, unedited) / distance }
}

extension EvaluationRequest {
  /// Refuses edits that cannot be made.
  func checkEdits(_ model: Model, _ data: Dataset) throws {
    guard !edits.isEmpty else { return }
    guard edits.allSatisfy(\.isFinite) else { throw UserError("--edits must be finite numbers") }
    guard model.vae != nil, data.test?.labels != nil, data.training.labels != nil else {
      throw UserError("--edits are of a VAE's latents and between classes: labels are needed")
    }
    guard model.configuration.classes == 0 else {
      throw UserError("--edits are for models that are not told the class, whose z must say it")
    }
  }
}
