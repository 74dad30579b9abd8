/// The squared distance of every row from its `k`-th nearest other row.
///
/// Another row of the same numbers is a neighbour at distance 0. Distances are those of
/// `Σ (x - y)²` in double precision, so equal ones compare as equal.
///
/// - Parameters:
///   - points: `[n, d]`, finite.
///   - k: 1…n - 1.
///   - threads: The result does not depend on it.
/// - Returns: n numbers.
public func neighbourDistances(of points: Matrix, k: Int, threads: Int) throws -> [Double] {
  precondition(k > 0 && k < points.rows, "the k-th of fewer than k + 1 rows")
  let distances = RowDistances(points, points)
  return try concurrently(distances.blocks.count, threads: threads) { block in
    let rows = distances.blocks[block]
    // The k smallest upper bounds, ascending: whatever lies above the last one is not the k-th.
    var bounds = [Double](repeating: .infinity, count: rows.count * k)
    var candidates = [[(row: Int, bound: Double)]](repeating: [], count: rows.count)
    distances.scan(block) { row, first, products in
      for column in 0..<products.count where first + column != rows.lowerBound + row {
        let (low, high) = distances.bounds(
          rows.lowerBound + row, first + column, product: products[column])
        guard low <= bounds[row * k + k - 1] else { continue }
        candidates[row].append((first + column, low))
        var place = row * k + k - 1
        guard high < bounds[place] else { continue }
        while place > row * k, bounds[place - 1] > high {
          bounds[place] = bounds[place - 1]
          place -= 1
        }
        bounds[place] = high
      }
    }
    return (0..<rows.count).map { row in
      candidates[row].filter { $0.bound <= bounds[row * k + k - 1] }
        .map { distances.exact(rows.lowerBound + row, $0.row) }.sorted()[k - 1] / distances.unit
    }
  }.flatMap { $0 }
}

/// For every row whether it lies within one of the balls around `centres`, their surface included.
///
/// - Parameters:
///   - points: `[n, d]`, finite.
///   - centres: `[m, d]`, finite.
///   - squaredRadii: m numbers, such as ``neighbourDistances(of:k:threads:)`` returns.
///   - threads: The result does not depend on it.
public func areCovered(
  _ points: Matrix, by centres: Matrix, squaredRadii: [Double], threads: Int
) throws -> [Bool] {
  precondition(squaredRadii.count == centres.rows, "a radius for each centre")
  let distances = RowDistances(points, centres)
  let radii = squaredRadii.map { $0 * distances.unit }
  return try concurrently(distances.blocks.count, threads: threads) { block in
    let rows = distances.blocks[block]
    let radii = radii.span
    var covered = [Bool](repeating: false, count: rows.count)
    distances.scan(block) { row, first, products in
      guard !covered[row] else { return }
      for column in 0..<products.count {
        let (i, j) = (rows.lowerBound + row, first + column)
        let (low, high) = distances.bounds(i, j, product: products[column])
        let radius = radii[j]
        guard low <= radius else { continue }
        if high <= radius || distances.exact(i, j) <= radius {
          covered[row] = true
          return
        }
      }
    }
    return covered
  }.flatMap { $0 }
}
