import DiffuseVAE
import Neural
import RealModule

/// The inception score (Salimans et al. 2016, §4): `exp E KL(p(y|x) ‖ p(y))`, over all images at
/// once (the paper averages over ten parts).
///
/// - Parameter probabilities: p(y|x), `[n, classes]`, a row per image, rows sum to 1.
/// - Returns: 1, when all images look the same to the classifier, to the number of classes, when it
///   is sure of each and finds all classes equally often.
/// - Throws: ``UserError`` when there is no row, or one that is no distribution.
public func inceptionScore(probabilities: Matrix) throws -> Double {
  let rows = try distributions(probabilities)
  let n = Double(rows.count)
  var marginal = [Double](repeating: 0, count: probabilities.columns)
  for row in rows {
    for (label, p) in row.enumerated() { marginal[label] += p / n }
  }
  var divergence = 0.0
  for row in rows {
    for (label, p) in row.enumerated() where p > 0 {
      divergence += p * Double.log(p / marginal[label])
    }
  }
  return .exp(max(0, divergence / n))
}

/// Fractions of the images that look most like each class: `[classes]`.
///
/// - Parameter probabilities: `[n, classes]`, rows sum to 1. Of equal ones the first class counts.
/// - Throws: ``UserError`` when there is no row, or one that is no distribution.
public func classHistogram(probabilities: Matrix) throws -> [Double] {
  let rows = try distributions(probabilities)
  var histogram = [Double](repeating: 0, count: probabilities.columns)
  for row in rows {
    let largest = row.max() ?? 0
    if let label = row.firstIndex(of: largest) { histogram[label] += 1 / Double(rows.count) }
  }
  return histogram
}

/// The share of images whose label is the class that they look most like.
///
/// - Parameters:
///   - probabilities: `[n, classes]`.
///   - labels: one for each image; what is none of the classes is never right.
public func labelAgreement(probabilities: Matrix, labels: [UInt8]) -> Double {
  let right = zip(0..<probabilities.rows, labels).count { row, label in
    let likeliest = (0..<probabilities.columns).max {
      probabilities[row, $0] < probabilities[row, $1]
    }
    return likeliest == Int(label)
  }
  return Double(right) / Double(max(1, probabilities.rows))
}

/// The total variation distance of two histograms, `½ Σ |p - q|`: 0 when they are proportional, 1
/// when they have no class in common.
///
/// - Parameters:
///   - a: A number for each class, a count or a fraction, none negative, not all 0.
///   - b: As many.
/// - Throws: ``UserError`` for anything else.
public func classHistogramDistance(_ a: [Double], _ b: [Double]) throws -> Double {
  let (p, q) = (a.reduce(0, +), b.reduce(0, +))
  guard
    a.count == b.count, (a + b).allSatisfy({ $0 >= 0 }), p > 0, q > 0, p.isFinite, q.isFinite
  else {
    throw UserError("histograms are compared of the same classes, none of them below 0, not all 0")
  }
  return min(1, zip(a, b).reduce(0) { $0 + abs($1.0 / p - $1.1 / q) } / 2)
}

/// Rows in double precision, with what rounding left of them to 1 made up.
private func distributions(_ probabilities: Matrix) throws(UserError) -> [[Double]] {
  guard probabilities.rows > 0, probabilities.columns > 0 else {
    throw UserError("class probabilities take one image and one class at least")
  }
  let classes = probabilities.columns
  var rows: [[Double]] = []
  rows.reserveCapacity(probabilities.rows)
  for row in 0..<probabilities.rows {
    let p = (0..<classes).map { Double(probabilities[row, $0]) }
    let sum = p.reduce(0, +)
    guard p.allSatisfy({ $0 >= 0 }), abs(sum - 1) < 1e-3 else {
      throw UserError("the class probabilities of image \(row) sum to \(sum), not to 1")
    }
    rows.append(p.map { $0 / sum })
  }
  return rows
}
