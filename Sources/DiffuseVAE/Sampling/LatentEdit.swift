import Formats
import Foundation
import Neural

/// Where in z images are moved to.
public struct LatentEdit: Equatable, Sendable {
  /// Towards the mean latent of each of these.
  public var plus: [ImageSource] = []
  /// Away from it.
  public var minus: [ImageSource] = []
  /// Towards a class, along the normal of the plane by which a logistic regression parts its latents
  /// from all others; a deviation of the training images along it is one.
  public var probe: Int?
  /// What the sum of all these is multiplied by.
  public var strength = 1.0

  public init() {}

  public var isEmpty: Bool { plus.isEmpty && minus.isEmpty && probe == nil }
}

extension Model {
  /// What the edit adds to z, `[1, latent]`.
  ///
  /// - Parameter threads: change nothing but the time.
  /// - Throws: ``UserError`` or `FormatError` for images or labels that are not there.
  package func direction(of edit: LatentEdit, threads: Int) throws -> Matrix {
    guard let vae else { throw UserError("formulation none has no VAE, and so no z to edit") }
    guard edit.strength.isFinite else { throw UserError("strength must be a finite number") }
    var direction = Matrix(1, vae.latent)
    for (sign, sources) in [(Float(1), edit.plus), (-1, edit.minus)] {
      for source in sources {
        let mean = try vae.means(of: images(source), threads: threads).columnMeans
        direction.add(sign, Matrix(1, vae.latent, mean.map { Float($0) }))
      }
    }
    if let label = edit.probe {
      direction.add(1, try vae.probe(label, of: dataset(), threads: threads))
    }
    return direction.affine(Float(edit.strength), 0)
  }
}

extension VAE {
  /// The mean of q(z|x) of each image, `[images, latent]`.
  package func means(of images: ByteImages, threads: Int) throws -> Matrix {
    try posteriors(of: images, Array(0..<images.count), threads: threads).mean
  }

  /// The direction of a class, `[1, latent]`: see ``LatentEdit/probe``.
  package func probe(_ label: Int, of data: Dataset, threads: Int) throws -> Matrix {
    guard let labels = data.training.labels else { throw UserError("\(data.name) has no labels") }
    return try probe(means(of: data.training, threads: threads), labels.map { Int($0) == label })
  }

  package func probe(_ z: Matrix, _ isOfClass: [Bool]) throws -> Matrix {
    do {
      let plane = try LogisticRegression(z, isOfClass, penalty: 1)
      let norm = plane.weights.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard norm > 0 else {
        throw UserError("the class has no direction in z: z says nothing of it")
      }
      let unit = plane.weights.map { Float($0 / norm) }
      let along = z * Matrix(z.columns, 1, unit)
      let mean = along.columnMeans[0]
      let variance = along.elements.reduce(0) { $0 + pow(Double($1) - mean, 2) } / Double(z.rows)
      return Matrix(1, z.columns, unit).affine(Float(variance.squareRoot()), 0)
    } catch let error as LinearAlgebraError {
      throw UserError("the class has no direction in z: \(error)")
    }
  }
}

extension Sequence<Draft> {
  /// The same, z moved by `direction`, `[1, latent]`.
  package func moved(by direction: Matrix) -> [Draft] {
    map { draft in
      var draft = draft
      draft.z?.add(1, direction)
      return draft
    }
  }

  /// All with the first one's z and class: what differs is the second stage's doing.
  package func sharingZ() -> [Draft] {
    var first: Draft?
    return map { draft in
      var draft = draft
      first = first ?? draft
      draft.z = first?.z
      draft.label = first?.label ?? draft.label
      return draft
    }
  }

  /// All with the first one's y_T and noise of every step: what differs is z's doing.
  package func sharingNoise() -> [Draft] {
    var first: Draft?
    return map { draft in
      var draft = draft
      first = first ?? draft
      draft.start = first?.start ?? draft.start
      draft.noise = first?.noise ?? draft.noise
      return draft
    }
  }
}
