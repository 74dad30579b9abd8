import COpenBLAS
import RealModule

/// What the log-density of a Gaussian is linear in: `φ(x) = (1, x, x xᵀ)`.
///
/// One product of features and coefficients gives the log-densities of all points under all
/// components, and one of responsibilities and features all sums of the M step. Full and diagonal
/// covariance differ in nothing but which products of coordinates there are.
struct GaussianFeatures: Sendable {
  /// x is measured from here, amid the points, so that little cancels in `Σ x xᵀ - n μ μᵀ`.
  let origin: [Double]
  let covariance: GaussianMixture.Covariance

  init(origin: [Double], _ covariance: GaussianMixture.Covariance) {
    self.origin = origin
    self.covariance = covariance
  }

  var dimensions: Int { origin.count }

  /// Numbers in φ(x): 1, x, and the lower triangle of x xᵀ row by row, or its diagonal.
  var count: Int { Self.count(dimensions, covariance) }

  static func count(_ dimensions: Int, _ covariance: GaussianMixture.Covariance) -> Int {
    1 + dimensions + (covariance == .full ? dimensions * (dimensions + 1) / 2 : dimensions)
  }

  /// Cuts rows into blocks whose features stay in the cache, about 1 MB.
  func blocks(of rows: Range<Int>) -> [Range<Int>] {
    let size = Self.blockRows(count)
    return stride(from: rows.lowerBound, to: rows.upperBound, by: size).map {
      $0..<min($0 + size, rows.upperBound)
    }
  }

  static func blockRows(_ count: Int) -> Int { max(16, min(512, 1 << 17 / count)) }

  /// φ of some rows of `[rows, dimensions]`: `[count, rows]`, a feature after the other, so that
  /// each is written by one vector loop.
  func values(of points: Matrix, _ rows: Range<Int>) -> [Double] {
    let (n, dimensions) = (rows.count, dimensions)
    var coordinates = [Double](repeating: 0, count: dimensions * n)
    var x = coordinates.mutableSpan
    let (source, origin) = (points.elements.span, origin.span)
    for i in 0..<dimensions {
      for r in 0..<n {
        x[i * n + r] = Double(source[(rows.lowerBound + r) * dimensions + i]) - origin[i]
      }
    }
    var values = [Double](repeating: 1, count: n)
    values.reserveCapacity(count * n)
    values += coordinates
    values += [Double](repeating: 0, count: (count - 1 - dimensions) * n)
    var place = (1 + dimensions) * n
    for i in 0..<dimensions {
      for j in (covariance == .full ? 0 : i)...i {
        multiply(coordinates, i * n, j * n, into: &values, place, n)
        place += n
      }
    }
    return values
  }

  /// `c[place + r] = x[a + r] x[b + r]` for `n` numbers r from 0.
  private func multiply(
    _ x: [Double], _ a: Int, _ b: Int, into c: inout [Double], _ place: Int, _ n: Int
  ) {
    let x = x.span
    var c = c.mutableSpan
    for r in 0..<n { c[place + r] = x[a + r] * x[b + r] }
  }

  /// What φ(x) is multiplied by to give `ln w_k N(x; μ_k, Σ_k)`: `[components, count]`, row-major.
  ///
  /// With the precision P = Σ⁻¹ and m = μ - origin: `ln w - ½ (D ln 2π + ln det Σ + mᵀ P m)`,
  /// `P m`, `-½ P`.
  func coefficients(of mixture: GaussianMixture) -> [Double] {
    (0..<mixture.components).flatMap { component in
      let factor = mixture.factor(component)
      let m = (0..<dimensions).map { mixture.means[component * dimensions + $0] - origin[$0] }
      let (quadratic, byMean) = precision(factor, m)
      let diagonal = covariance == .full ? dimensions + 1 : 1
      let logDeterminant =
        2
        * stride(from: 0, to: factor.count, by: diagonal).reduce(0) { $0 + Double.log(factor[$1]) }
      let distance = zip(m, byMean).reduce(0) { $0 + $1.0 * $1.1 }
      let constant =
        Double.log(mixture.weights[component])
        - 0.5 * (Double(dimensions) * Double.log(2 * .pi) + logDeterminant + distance)
      return [constant] + byMean + quadratic
    }
  }

  /// `-½ P` as coefficients of products, where those off the diagonal stand for two, and `P m`.
  private func precision(
    _ factor: [Double], _ m: [Double]
  ) -> (quadratic: [Double], byMean: [Double]) {
    switch covariance {
    case .diagonal:
      let p = factor.map { 1 / ($0 * $0) }
      return (p.map { -0.5 * $0 }, zip(p, m).map { $0 * $1 })
    case .full:
      let p = inverse(ofCholesky: factor, n: dimensions)
      var byMean = [Double](repeating: 0, count: dimensions)
      var quadratic: [Double] = []
      for i in 0..<dimensions {
        for j in 0..<i {
          let entry = p[i * dimensions + j]
          byMean[i] += entry * m[j]
          byMean[j] += entry * m[i]
          quadratic.append(-entry)
        }
        let entry = p[i * dimensions + i]
        byMean[i] += entry * m[i]
        quadratic.append(-0.5 * entry)
      }
      return (quadratic, byMean)
    }
  }
}

/// The E step for a block of points.
struct Expectation {
  let responsibilities: [Double]  // [rows, components]
  let logDensities: [Double]  // [rows]

  /// - Parameters:
  ///   - features: `[count, rows]`
  ///   - coefficients: `[components, count]`
  init(_ features: [Double], _ coefficients: [Double], _ components: Int, _ rows: Int) {
    let count = Int32(coefficients.count / components)
    var r = [Double](repeating: 0, count: rows * components)
    var logDensities = [Double](repeating: 0, count: rows)
    BLAS.oneThreadPerProduct
    cblas_dgemm(
      CblasRowMajor, CblasTrans, CblasTrans, Int32(rows), Int32(components), count, 1, features,
      Int32(rows), coefficients, count, 0, &r, Int32(components))
    var joint = r.mutableSpan
    for row in 0..<rows {
      let places = row * components..<(row + 1) * components
      // exp of what is above the largest would overflow, and far below it nothing is left.
      var largest = -Double.infinity
      for place in places { largest = max(largest, joint[place]) }
      var sum = 0.0
      for place in places {
        joint[place] = .exp(joint[place] - largest)
        sum += joint[place]
      }
      for place in places { joint[place] /= sum }
      logDensities[row] = largest + .log(sum)
    }
    self.responsibilities = r
    self.logDensities = logDensities
  }
}
