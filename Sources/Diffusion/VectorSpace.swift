import RealModule

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

  /// `⟨x, y⟩` of every sample: several of a type that holds a batch; by default there is one.
  static func dots(_ x: Self, _ y: Self) -> [Double]

  /// `‖a‖/‖b‖ x`, and 0 where b is 0.
  ///
  /// A type that holds a batch does so sample by sample, so that no sample depends on its company.
  /// The default takes everything for one sample.
  static func scale(_ x: Self, byNormOf a: Self, over b: Self) -> Self

  /// `e^(a y) x`, element by element.
  static func scale(_ x: Self, byExponentialOf a: Double, _ y: Self) -> Self
}

extension Vector {
  public static func combine(
    _ a: Double, _ x: Self, _ b: Double, _ y: Self, _ c: Double, _ z: Self
  ) -> Self {
    combine(1, combine(a, x, b, y), c, z)
  }

  public static func dots(_ x: Self, _ y: Self) -> [Double] { [dot(x, y)] }

  public static func scale(_ x: Self, byNormOf a: Self, over b: Self) -> Self {
    combine(ratio(a.norm, b.norm), x, 0, x)
  }

  /// `Σ a·x` over one or more terms.
  static func combination(_ terms: [(a: Double, x: Self)]) -> Self {
    let first = combine(terms[0].a, terms[0].x, 0, terms[0].x)
    return terms.dropFirst().reduce(first) { $1.a == 0 ? $0 : combine(1, $0, $1.a, $1.x) }
  }

  /// `√⟨x, x⟩`
  public var norm: Double { Self.dot(self, self).squareRoot() }
}

/// `a/b`, and 0 where b is 0: what ``Vector/scale(_:byNormOf:over:)`` scales by.
public func ratio(_ a: Double, _ b: Double) -> Double { b == 0 ? 0 : a / b }

extension Double: Vector {
  public static func combine(_ a: Double, _ x: Double, _ b: Double, _ y: Double) -> Double {
    a * x + b * y
  }

  public static func dot(_ x: Double, _ y: Double) -> Double { x * y }

  public static func scale(_ x: Double, byExponentialOf a: Double, _ y: Double) -> Double {
    .exp(a * y) * x
  }
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

  public static func scale(
    _ x: [Double], byExponentialOf a: Double, _ y: [Double]
  ) -> [Double] {
    precondition(x.count == y.count, "vectors of \(x.count) and \(y.count) elements")
    return x.indices.map { .scale(x[$0], byExponentialOf: a, y[$0]) }
  }
}
