import Formats
import Neural

/// A Gaussian of z for every class, and the ways from one to another.
///
/// An image that is moved keeps its place among the latents of its class, as far as a Gaussian says what
/// that is: what is one deviation from the mean, along any axis, stays so among those of the other class.
package struct ClassGaussians: Sendable {
  /// Only latents that carry something are moved.
  private let active: [Int]
  private let labels: [Int]  // ascending
  private let covariances: [[Double]]  // by place in `labels`
  private let mixture: GaussianMixture  // weighed by how many images are of each class

  /// - Parameters:
  ///   - posteriors: of the training images, not told their classes.
  ///   - labels: theirs.
  ///   - threads: change nothing but the time.
  /// - Throws: ``UserError`` for classes of too few images, or of too much alike ones.
  package init(of posteriors: DiagonalGaussian, labels: [Int], threads: Int) throws {
    precondition(labels.count == posteriors.count, "a label for every image")
    let active = posteriors.activeDimensions
    guard !active.isEmpty else { throw UserError("no latent carries information") }
    let z = posteriors.mean.columns(at: active)
    var places: [Int: [Int]] = [:]
    for (place, label) in labels.enumerated() { places[label, default: []].append(place) }
    let order = places.keys.sorted()
    let found = try order.map { label in
      let points = z.rows(at: places[label] ?? [])
      guard points.rows > active.count else {
        throw UserError(
          """
          class \(label) has \(points.rows) training images; to say how they are spread over \
          \(active.count) latents takes \(active.count + 1)
          """)
      }
      return (points.rows, try meanAndCovariance(of: points, threads: threads))
    }
    let factors = try zip(order, found).flatMap { label, moments in
      guard let factor = cholesky(moments.1.covariance, n: active.count) else {
        throw UserError(
          "the training images of class \(label) differ in too few latents to have a covariance")
      }
      return factor
    }
    mixture = try GaussianMixture(
      weights: found.map { Double($0.0) }, means: found.flatMap(\.1.mean), factors: factors,
      covariance: .full)
    (self.active, self.labels, covariances) = (active, order, found.map(\.1.covariance))
  }

  /// The way to a class, from every one.
  ///
  /// - Throws: ``UserError`` for a class without images.
  package func way(to label: Int) throws -> ClassWay {
    guard let target = labels.firstIndex(of: label) else {
      throw UserError("there is no training image of class \(label)")
    }
    let maps = try labels.indices.map { source in
      do {
        return try GaussianTransport(from: gaussian(source), to: gaussian(target))
      } catch let error as LinearAlgebraError {
        throw UserError("there is no way from class \(labels[source]) to another: \(error)")
      }
    }
    return ClassWay(active: active, labels: labels, mixture: mixture, maps: maps)
  }

  private func gaussian(_ place: Int) -> (mean: [Double], covariance: [Double]) {
    let n = active.count
    return (Array(mixture.means[place * n..<(place + 1) * n]), covariances[place])
  }
}

/// The way from every class' latents to those of one.
package struct ClassWay: Sendable {
  fileprivate let active: [Int]
  fileprivate let labels: [Int]
  fileprivate let mixture: GaussianMixture
  fileprivate let maps: [GaussianTransport]  // by place in `labels`

  /// - Parameters:
  ///   - z: `[images, latent]`; every one comes from the class that it most likely is of.
  ///   - strength: 1 is all the way; 0 is none.
  package func moved(_ z: Matrix, strength: Double) -> Matrix {
    let points = z.columns(at: active)
    let shares = mixture.responsibilities(of: points)
    var moved = z
    for row in 0..<z.rows {
      let likelihoods = shares[row * labels.count..<(row + 1) * labels.count]
      let likeliest = labels.indices.max {
        likelihoods[likelihoods.startIndex + $0] < likelihoods[likelihoods.startIndex + $1]
      }
      guard let source = likeliest else { continue }
      let point = active.indices.map { Double(points[row, $0]) }
      for (latent, (from, to)) in zip(active, zip(point, maps[source](point))) {
        moved[row, latent] = Float(from + strength * (to - from))
      }
    }
    return moved
  }
}

extension Model {
  /// The Gaussians of the training images' classes.
  ///
  /// - Throws: ``UserError`` for a model without latents, or whose latents do not say the class.
  package func classGaussians(threads: Int) throws -> ClassGaussians {
    guard let vae else { throw UserError("formulation none has no VAE, and so no z to edit") }
    guard vae.classes == 0 else {
      throw UserError("the VAE is told the class, which z need not say then: --label chooses it")
    }
    let training = try dataset().training
    guard let labels = training.labels else {
      throw UserError("\(configuration.data.set) has no labels")
    }
    let posteriors = try vae.posteriors(of: training, Array(0..<training.count), threads: threads)
    return try ClassGaussians(of: posteriors, labels: labels.map { Int($0) }, threads: threads)
  }
}

extension [Draft] {
  /// The same, z moved along the way to a class.
  package func moved(along way: ClassWay, strength: Double) -> [Draft] {
    let z = compactMap(\.z)
    precondition(z.count == count, "drafts without z")
    guard let latent = z.first?.columns else { return [] }
    let moved = way.moved(
      Matrix(count, latent, z.flatMap(\.elements)), strength: strength)
    var drafts = self
    for place in drafts.indices { drafts[place].z = moved.rows(place..<place + 1) }
    return drafts
  }
}
