import RealModule

/// `ln P(byte)` under `N(mean, deviation²)` in [-1, 1], where byte b is the bin of width 2/255 around
/// `2b/255 - 1`; the first and the last bin have no outer end (Ho et al. 2020, eq. 13).
///
/// - Parameter deviation: positive.
public func logProbability(ofByte byte: UInt8, mean: Double, deviation: Double) -> Double {
  precondition(deviation > 0, "deviation = \(deviation) is not positive")
  let centre = (2 * Double(byte) - 255) / 255 - mean
  return logNormalProbability(
    from: byte == 0 ? -.infinity : (centre - 1 / 255) / deviation,
    to: byte == 255 ? .infinity : (centre + 1 / 255) / deviation)
}

/// `ln(Φ(b) - Φ(a))` for a < b, in the tails, too, where the difference itself is 0.
func logNormalProbability(from a: Double, to b: Double) -> Double {
  // By the upper tail, in which numbers are small and not close to 1.
  guard a + b >= 0 else { return logNormalProbability(from: -b, to: -a) }
  let (a, b) = (a / .sqrt(2), b / .sqrt(2))
  guard a > 0 else { return .log((.erf(b) - .erf(a)) / 2) }
  let (low, high) = (logComplementaryError(a), logComplementaryError(b))
  return low - .log(2) + .log(-.expMinusOne(high - low))
}

/// `ln erfc(x)` for x > 0.
private func logComplementaryError(_ x: Double) -> Double {
  guard x > 25 else { return .log(.erfc(x)) }
  // The asymptotic series; its first term that is left out is below 1e-10.
  let y = 1 / (2 * x * x)
  return -x * x - .log(x * .sqrt(.pi)) + .log(onePlus: -y * (1 - 3 * y * (1 - 5 * y)))
}
