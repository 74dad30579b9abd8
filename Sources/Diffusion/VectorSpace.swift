/// What diffusion needs of a space: linear combinations, and an inner product.
///
/// Schedules, targets and samplers are written once against this protocol and run on `Double` in
/// a proof, on `[Double]` in a test, and on a matrix that holds a whole batch of images. One call
/// covers the whole batch, so its dispatch costs nothing and the loop over the elements stays in
/// the conforming type.
public protocol Vector: Sendable {
  /// `a·x + b·y`
  static func combine(_ a: Double, _ x: Self, _ b: Double, _ y: Self) -> Self

  /// `a·x + b·y + c·z`, a step of a stochastic sampler.
  ///
  /// The default makes two passes over memory; a large type does it in one.
  static func combine(
    _ a: Double, _ x: Self, _ b: Double, _ y: Self, _ c: Double, _ z: Self
  ) -> Self

  /// `⟨x, y⟩` over every element: a batch counts as one long vector.
  static func dot(_ x: Self, _ y: Self) -> Double
}

extension Vector {
  public static func combine(
    _ a: Double, _ x: Self, _ b: Double, _ y: Self, _ c: Double, _ z: Self
  ) -> Self {
    combine(1, combine(a, x, b, y), c, z)
  }

  /// `√⟨x, x⟩`
  public var norm: Double { Self.dot(self, self).squareRoot() }
}

extension Double: Vector {
  public static func combine(_ a: Double, _ x: Double, _ b: Double, _ y: Double) -> Double {
    a * x + b * y
  }

  public static func dot(_ x: Double, _ y: Double) -> Double { x * y }
}

extension Array: Vector where Element == Double {
  public static func combine(
    _ a: Double, _ x: [Double], _ b: Double, _ y: [Double]
  ) -> [Double] {
    precondition(x.count == y.count, "vectors of \(x.count) and \(y.count) elements")
    return x.indices.map { a * x[$0] + b * y[$0] }
  }

  public static func dot(_ x: [Double], _ y: [Double]) -> Double {
    precondition(x.count == y.count, "vectors of \(x.count) and \(y.count) elements")
    return x.indices.reduce(0) { $0 + x[$1] * y[$1] }
  }
}
