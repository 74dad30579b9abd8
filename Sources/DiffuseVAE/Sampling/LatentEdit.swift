import Formats
import Neural

/// What is added to z.
public struct LatentEdit: Equatable, Sendable {
  /// The mean latent of each of these.
  public var plus: [ImageSource] = []
  /// What is taken away: the same of these.
  public var minus: [ImageSource] = []
  /// A class: the normal of the plane by which a logistic regression parts its latents from all
  /// others, as long as the training images deviate along it.
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
    guard Float(edit.strength).isFinite else { throw UserError("strength must be a finite number") }
    var direction = Matrix(1, vae.latent)
    for (sign, sources) in [(Float(1), edit.plus), (-1, edit.minus)] {
      for source in sources {
        let images = try images(source)
        guard images.labels != nil || vae.classes == 0 else {
          throw UserError(
            "the VAE is told the class of every image, and not all given ones have one")
        }
        let numbers = Array(0..<images.count)
        let mean = try vae.posteriors(of: images, numbers, threads: threads).mean.columnMeans
        direction.add(sign, Matrix(1, vae.latent, mean.map { Float($0) }))
      }
    }
    if let label = edit.probe {
      let training = try dataset().training
      let isOfClass = try training.isOfClass(label, name: configuration.data.set)
      let posteriors = try vae.posteriors(
        of: training, Array(0..<training.count), threads: threads)
      direction.add(1, try posteriors.probe(isOfClass))
    }
    return direction.affine(Float(edit.strength), 0)
  }
}

extension ByteImages {
  /// Which images are of a class; some are.
  ///
  /// - Parameter name: of the set, for errors.
  func isOfClass(_ label: Int, name: String) throws -> [Bool] {
    guard let labels else { throw UserError("\(name) has no labels") }
    let isOfClass = labels.map { Int($0) == label }
    guard isOfClass.contains(true) else {
      throw UserError("\(name) has no training image of class \(label)")
    }
    return isOfClass
  }
}

extension DiagonalGaussian {
  /// A class' direction, `[1, dimensions]`: see ``LatentEdit/probe``. It is of those latents only that
  /// carry something, each in units of its deviation: the plane's slope along the others is noise.
  package func probe(_ isOfClass: [Bool]) throws -> Matrix {
    let active = activeDimensions
    guard !active.isEmpty else { throw UserError("no latent carries information") }
    try checkMemory(
      bytes: 8 * (count * (active.count + 5) + 4 * active.count * active.count), "the probe")
    var z = mean.columns(at: active)
    let deviations = (0..<z.columns).map { column in
      deviation((0..<z.rows).map { Double(z[$0, column]) })
    }
    for row in 0..<z.rows {
      for column in 0..<z.columns { z[row, column] /= Float(deviations[column]) }
    }
    do {
      let weights = try LogisticRegression(z, isOfClass, penalty: 1).weights
      let norm = weights.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard norm > 0 else { throw UserError("z says nothing of the class") }
      let unit = weights.map { Float($0 / norm) }
      let along = deviation((z * Matrix(z.columns, 1, unit)).elements.map { Double($0) })
      var direction = Matrix(1, dimensions)
      for (place, latent) in active.enumerated() {
        direction[0, latent] = unit[place] * Float(along * deviations[place])
      }
      return direction
    } catch let error as LinearAlgebraError {
      throw UserError("the class has no direction in z: \(error)")
    }
  }
}

/// Above 0, if only just.
private func deviation(_ numbers: [Double]) -> Double {
  let mean = numbers.reduce(0, +) / Double(numbers.count)
  let squares = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
  return max((squares / Double(numbers.count)).squareRoot(), 1e-30)
}

extension [Draft] {
  /// The same, z moved by `direction`, `[1, latent]`.
  package func moved(by direction: Matrix) -> [Draft] {
    changed { $0.z?.add(1, direction) }
  }

  /// All with the first one's z and class: what differs is the second stage's doing.
  package func sharingZ() -> [Draft] {
    guard let first else { return [] }
    return changed { ($0.z, $0.label) = (first.z, first.label) }
  }

  /// All with the first one's y_T and noise of every step: what differs is z's doing.
  package func sharingNoise() -> [Draft] {
    guard let first else { return [] }
    return changed { ($0.start, $0.noise) = (first.start, first.noise) }
  }

  private func changed(_ change: (inout Draft) -> Void) -> [Draft] {
    var drafts = self
    for place in drafts.indices { change(&drafts[place]) }
    return drafts
  }
}
