extension GaussianMixture {
  /// The same mixture as some of the dimensions of a larger space, in whose other dimensions it is
  /// one Gaussian along the axes.
  ///
  /// - Parameters:
  ///   - places: where its dimensions go, ascending.
  ///   - means: of the larger space; those at `places` are not used.
  ///   - deviations: likewise; the used ones are positive.
  /// - Throws: ``LinearAlgebraError`` when a used mean or deviation is no such number.
  public func embedded(
    at places: [Int], means otherMeans: [Double], deviations: [Double]
  ) throws -> GaussianMixture {
    let size = otherMeans.count
    precondition(
      places.count == dimensions && deviations.count == size
        && places.allSatisfy((0..<size).contains), "a place for each dimension")
    var (allMeans, allFactors): ([Double], [Double]) = ([], [])
    for component in 0..<components {
      var mean = otherMeans
      for (i, place) in places.enumerated() { mean[place] = means[component * dimensions + i] }
      allMeans += mean
      let factor = factor(component)
      switch covariance {
      case .diagonal:
        var all = deviations
        for (i, place) in places.enumerated() { all[place] = factor[i] }
        allFactors += all
      case .full:
        var all = [Double](repeating: 0, count: size * size)
        for i in 0..<size { all[i * size + i] = deviations[i] }
        for (i, row) in places.enumerated() {
          for (j, column) in places.enumerated() {
            all[row * size + column] = factor[i * dimensions + j]
          }
        }
        allFactors += all
      }
    }
    return try GaussianMixture(
      weights: weights, means: allMeans, factors: allFactors, covariance: covariance)
  }
}
