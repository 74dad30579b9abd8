import Diffusion
import Neural

/// What a denoiser sees of the condition.
public struct Condition: Sendable {
  /// A second image beside the noisy one, `[batch, pixels]`; nil exactly when the network was made
  /// without one.
  public var image: Matrix?
  /// What joins the time in the embedding, `[batch, features]`; nil exactly when the network was made
  /// without any.
  public var features: Matrix?

  public init(image: Matrix? = nil, features: Matrix? = nil) {
    (self.image, self.features) = (image, features)
  }

  public static let none = Condition()
}

/// What is known of the images of a batch besides the noisy ones. Without a VAE there is neither x̂0
/// nor z; labels are needed only by a model that has classes.
struct Known: Sendable {
  /// x̂0, `[batch, pixels]` in [-1, 1].
  var reconstruction: Matrix?
  /// `[batch, latent]`
  var z: Matrix?
  /// The class of every image.
  var labels: [Int]?

  static let nothing = Known()

  init(reconstruction: Matrix? = nil, z: Matrix? = nil, labels: [Int]? = nil) {
    (self.reconstruction, self.z, self.labels) = (reconstruction, z, labels)
  }

  /// - Parameter z: what `vae` makes x̂0 of.
  init(_ vae: VAE?, z: Matrix?, labels: [Int]?) {
    let reconstruction = z.flatMap { z in vae.map { $0.reconstruction(z, labels: labels) } }
    self.init(reconstruction: reconstruction, z: z, labels: labels)
  }

  /// Of some images of the batch, some perhaps several times.
  func rows(_ rows: some Collection<Int>) -> Known {
    Known(
      reconstruction: reconstruction?.rows(at: rows), z: z?.rows(at: rows),
      labels: labels.map { labels in rows.map { labels[$0] } })
  }
}

/// What the second stage's network is shown of what is known of an image, and how often training
/// withholds each, for an image by itself (classifier-free guidance, Ho & Salimans 2022, algorithm 1).
///
/// What is withheld is zero, and a flag says so: the network learns what that is worth, for x̂0, z
/// and the label apart. z, the label (one-hot) and the flags join the time in its embedding.
struct Conditioning: Sendable {
  struct Parts: OptionSet, Hashable {
    let rawValue: Int
    static let reconstruction = Parts(rawValue: 1)
    static let latent = Parts(rawValue: 2)
    static let label = Parts(rawValue: 4)
  }

  /// Whether x̂0 is seen as a second image.
  let seesImage: Bool
  let seesLatent: Bool
  /// 0 if the network sees no label.
  let classes: Int
  /// What may be withheld, with its probability.
  private let rates: [(part: Parts, rate: Double)]

  init(_ settings: DiffusionSettings) {
    (seesImage, seesLatent) = (settings.condition, settings.conditionLatent)
    classes = settings.classes
    rates = [
      (.reconstruction, settings.dropReconstruction), (.latent, settings.dropLatent),
      (.label, settings.dropLabel),
    ].filter { $0.1 > 0 }
  }

  /// All that is ever withheld.
  var withholdable: Parts { Parts(rates.map(\.part)) }

  /// Numbers that join the time, for a z of so many.
  func features(latent: Int) -> Int { (seesLatent ? latent : 0) + classes + rates.count }

  /// What training withholds of each image.
  ///
  /// - Parameter stream: of it the rows `rows` are taken.
  func withheld(_ stream: RandomStream, rows: Range<Int>) -> [Parts]? {
    guard !rates.isEmpty else { return nil }
    let numbers = stream.uniform(rows: rows, columns: rates.count)
    return (0..<numbers.rows).map { row in
      Parts(
        rates.indices.filter { Double(numbers[row, $0]) < rates[$0].rate }.map { rates[$0].part })
    }
  }

  /// What the network sees.
  ///
  /// - Parameter withheld: of each row; nil for nothing.
  /// - Returns: x̂0 as far as it is not withheld, and the condition.
  func shown(
    _ known: Known, rows: Int, withheld: [Parts]?
  ) -> (reconstruction: Matrix?, condition: Condition) {
    func kept(_ part: Parts, of matrix: Matrix) -> Matrix {
      guard let withheld, withheld.contains(where: { $0.contains(part) }) else { return matrix }
      var matrix = matrix
      matrix.scaleRows(withheld.map { $0.contains(part) ? 0 : 1 })
      return matrix
    }
    let reconstruction = known.reconstruction.map { kept(.reconstruction, of: $0) }
    var parts: [Matrix] = []
    if seesLatent, let z = known.z { parts.append(kept(.latent, of: z)) }
    if classes > 0 {
      parts.append(kept(.label, of: oneHot(known.labels, of: classes, rows: rows)))
    }
    for (part, _) in rates {
      let flags = withheld.map { $0.map { $0.contains(part) ? Float(1) : 0 } }
      parts.append(Matrix(rows, 1, flags ?? [Float](repeating: 0, count: rows)))
    }
    let features = parts.first.map { parts.dropFirst().reduce($0) { $0.joined($1) } }
    return (reconstruction, Condition(image: seesImage ? reconstruction : nil, features: features))
  }
}

/// 1 in the column of the label: `[rows, classes]`. A label that is not known, or is none of the
/// classes, is no class.
func oneHot(_ labels: [Int]?, of classes: Int, rows: Int) -> Matrix {
  var matrix = Matrix(rows, classes)
  for (row, label) in (labels ?? []).enumerated() where (0..<classes).contains(label) {
    matrix[row, label] = 1
  }
  return matrix
}

extension Configuration {
  /// Numbers that the second stage's network sees with the time.
  var conditionFeatures: Int { Conditioning(diffusion).features(latent: vae.latent) }

  /// Of images, as far as a stage is told of them; 0 if none is.
  package var classes: Int { max(hasVAE ? vae.classes : 0, diffusion.classes) }

  /// Refuses a set without the labels that a stage is to see.
  ///
  /// - Throws: ``UserError``
  package func checkLabels(_ data: Dataset) throws {
    guard classes > 0 else { return }
    for images in [data.training, data.validation, data.test].compactMap({ $0 }) {
      guard let labels = images.labels else {
        throw UserError(
          "\(data.name): has no labels, and the configuration is of \(classes) classes")
      }
      if let label = labels.max(), label >= classes {
        throw UserError(
          "\(data.name): has a label \(label), and the configuration is of \(classes) classes only")
      }
    }
  }
}
