/// Elementary functions as straight lines of adds, multiplies, selections and bit casts, which the
/// compiler vectorises where it cannot vectorise a call of the C library.
///
/// Minimax polynomials of S. L. Moshier's Cephes library (single precision).
enum Elementary {
  /// `a b + c`, rounded once: one instruction, where the compiler may not make one of two
  /// roundings.
  @inline(__always) private static func fused(_ a: Float, _ b: Float, _ c: Float) -> Float {
    c.addingProduct(a, b)
  }

  /// eˣ for |x| ≤ 87.3, and the value at the nearer end beyond; NaN of NaN. Within 1 ulp.
  @inline(__always) static func exp(_ x: Float) -> Float { exp(clamped: clamped(x)) }

  /// NaN stays NaN. Compared in this order, each end is one instruction.
  @inline(__always) private static func clamped(_ x: Float) -> Float {
    let x = 87.3 < x ? 87.3 : x
    return x < -87.3 ? -87.3 : x
  }

  @inline(__always) private static func exp(clamped x: Float) -> Float {
    // Adding 1.5·2²³ leaves the nearest integer n of x / ln 2 in the low bits of the sum.
    let shifted = fused(x, 1.44269504, 12_582_912)
    let n = shifted - 12_582_912
    let r = fused(n, 2.12194440e-4, fused(n, -0.693359375, x))
    var p: Float = 1.9875691500e-4
    p = fused(p, r, 1.3981999507e-3)
    p = fused(p, r, 8.3334519073e-3)
    p = fused(p, r, 4.1665795894e-2)
    p = fused(p, r, 1.6666665459e-1)
    p = fused(p, r, 5.0000001201e-1)
    let y = fused(p, r * r, r) + 1
    // 2ⁿ y by adding n to the exponent, which stays that of a normal number.
    return Float(bitPattern: y.bitPattern &+ (shifted.bitPattern &<< 23))
  }

  /// ln x for positive normal x. Within 1 ulp away from 1; absolute error below 1e-7 near it.
  @inline(__always) static func log(_ x: Float) -> Float {
    // x = 2ᵉ m with m in [√½, √2): subtracting √½'s bits makes the exponent field round so.
    let shifted = x.bitPattern &- 0x3f35_04f3
    let e = Float(Int32(bitPattern: shifted) &>> 23)
    let m = Float(bitPattern: (shifted & 0x007f_ffff) &+ 0x3f35_04f3) - 1
    var p: Float = 7.0376836292e-2
    p = fused(p, m, -1.1514610310e-1)
    p = fused(p, m, 1.1676998740e-1)
    p = fused(p, m, -1.2420140846e-1)
    p = fused(p, m, 1.4249322787e-1)
    p = fused(p, m, -1.6668057665e-1)
    p = fused(p, m, 2.0000714765e-1)
    p = fused(p, m, -2.4999993993e-1)
    p = fused(p, m, 3.3333331174e-1)
    let z = m * m
    let y = p * z * m - e * 2.12194440e-4 - 0.5 * z
    return m + y + e * 0.693359375
  }

  /// Cosine and sine of a whole turn's fraction, given as a fixed-point number of 32 bits:
  /// `cos(2π bits/2³²)`, `sin(2π bits/2³²)`. Absolute error below 1.1e-7.
  @inline(__always) static func cosineSine(turn bits: UInt32) -> (cosine: Float, sine: Float) {
    // The nearest quarter turn, and what remains, within ±π/4.
    let quarter = (bits &+ 0x2000_0000) &>> 30
    let rest = Int32(bitPattern: bits &- (quarter &<< 30))
    let r = Float(rest) * 1.4629180792671596e-9  // 2π / 2³²
    let z = r * r
    var s: Float = -1.9515295891e-4
    s = fused(s, z, 8.3321608736e-3)
    s = fused(s, z, -1.6666654611e-1)
    s = s * z * r + r
    var c: Float = 2.443315711809948e-5
    c = fused(c, z, -1.388731625493765e-3)
    c = fused(c, z, 4.166664568298827e-2)
    c = c * z * z - 0.5 * z + 1
    let swap = quarter & 1 == 1
    let cosine = swap ? s : c
    let sine = swap ? c : s
    // cos is negative in quarters 1 and 2, sin in quarters 2 and 3.
    let cosineSign = ((quarter &+ 1) & 2) &<< 30
    let sineSign = (quarter & 2) &<< 30
    return (
      Float(bitPattern: cosine.bitPattern ^ cosineSign),
      Float(bitPattern: sine.bitPattern ^ sineSign)
    )
  }

  /// 1 / (1 + e⁻ˣ)
  @inline(__always) static func sigmoid(_ x: Float) -> Float {
    // Clamped before the sign changes: compilers then need one instruction for each end.
    1 / (1 + exp(clamped: -clamped(x)))
  }

  /// (eˣ - e⁻ˣ)/(eˣ + e⁻ˣ), to an absolute error of the last digit of 1.
  @inline(__always) static func tanh(_ x: Float) -> Float { 2 * sigmoid(2 * x) - 1 }

  /// ln(1 + eˣ)
  @inline(__always) static func softplus(_ x: Float) -> Float {
    max(x, 0) + log(1 + exp(-abs(x)))
  }
}
