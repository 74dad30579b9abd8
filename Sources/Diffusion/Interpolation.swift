import RealModule

/// The straight way from x (fraction 0) to y (fraction 1); both ends are returned bit for bit.
///
/// For VAE latents. Between two independent noises its middle has only 0.7071 of their norm.
public func lerp<V: Vector>(_ x: V, _ y: V, _ fraction: Double) -> V {
  between(x, y, fraction) { (1 - fraction, fraction) }
}

/// The way from x (fraction 0) to y (fraction 1) along the great circle; both ends are returned
/// bit for bit (Shoemake 1985; between noises, Song et al. 2020, section 5.3).
///
/// For the noise a sampler starts from: vectors of one norm keep it. Where no great circle is
/// singled out (a zero vector, parallel or opposite ones) it is the straight way.
public func slerp<V: Vector>(_ x: V, _ y: V, _ fraction: Double) -> V {
  between(x, y, fraction) {
    // Half the angle between u and v is that of the right triangle with legs |u - v| and |u + v|,
    // accurate at any angle, as the arc cosine of their product is not (Kahan).
    let (a, b) = (1 / x.norm, 1 / y.norm)
    let angle =
      2 * Double.atan2(y: V.combine(a, x, -b, y).norm, x: V.combine(a, x, b, y).norm)

    // Arc and chord of 1e-6 differ by 1e-13 of the norm; that close to a half turn the weights
    // would magnify rounding a million times. A NaN, from a zero vector, takes this way too.
    guard Double.sin(angle) > 1e-6 else { return (1 - fraction, fraction) }
    return (
      .sin((1 - fraction) * angle) / .sin(angle), .sin(fraction * angle) / .sin(angle)
    )
  }
}

/// `a·x + b·y` with the weights (a, b), except at the ends, where not even a -0 may change.
private func between<V: Vector>(
  _ x: V, _ y: V, _ fraction: Double, weights: () -> (Double, Double)
) -> V {
  if fraction == 0 { return x }
  if fraction == 1 { return y }
  let (a, b) = weights()
  return .combine(a, x, b, y)
}
