import Testing

@testable import Statistics

/// Generated cases computed by other people's programs, to 1e-9: statsmodels and scipy for intervals, scikit-learn for
/// scores, the official scorer of the PhysioNet Challenge 2019 (evaluation-2019, 467c49b) for utility.
@Suite struct ReferenceVectorTests {
  private func isNear(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-9 * max(1, abs(b)) }

  /// `proportion_confint(k, n, method=...)`, `wilson` then `beta`.
  @Test(arguments: [
    (12069, 20000, [0.5966511769044768, 0.6102090908355152, 0.5966307823592087, 0.6102391319542744]),
    (4286, 20000, [0.20866828585094957, 0.22004144355150854, 0.20862998090024332, 0.22005318476608876]),
    (24, 250, [0.06536188077872193, 0.1388658252135973, 0.06248148421820522, 0.13946947695349438]),
    (0, 1, [0.0, 0.7934506856227627, 0.0, 0.975]),
    (1016, 1213, [0.8157767214836948, 0.857277269291518, 0.8156117434252479, 0.8579227010342084]),
    (83, 97, [0.7722059515958346, 0.9120364305248829, 0.7697099112225658, 0.9187870592228622]),
    (24, 97, [0.17227488052867695, 0.34181386260298735, 0.16540822489590334, 0.34541917102123154]),
    (48, 97, [0.3974582344396337, 0.5926252092977472, 0.3917382739909032, 0.5982755977966129]),
    (2, 2, [0.342380227506653, 1.0, 0.15811388300841897, 1.0]),
    (3, 5, [0.2307242812760129, 0.8823792257673522, 0.14663279963467313, 0.9472550494736831]),
    (1, 2, [0.09453120573423068, 0.9054687942657693, 0.01257911709342505, 0.9874208829065749]),
  ])
  func proportions(k: Int, n: Int, bounds: [Double]) {
    let (wilson, exact) = (Proportion.wilson(k, of: n), Proportion.clopperPearson(k, of: n))
    for (found, expected) in zip([wilson.lower, wilson.upper, exact.lower, exact.upper], bounds) {
      #expect(isNear(found, expected), "\(k) of \(n): \(found), not \(expected)")
    }
  }

  /// `chi2.ppf(0.025, 2 k) / 2` and `chi2.ppf(0.975, 2 k + 2) / 2`.
  @Test(arguments: [
    (1, 0.025317807984289876, 5.571643390938898), (2, 0.24220927854396496, 7.22468766772396),
    (3, 0.6186721228956014, 8.767273069742323), (5, 1.6234863901184207, 11.66833207932267),
    (12, 6.200575108722218, 20.96158504817696), (17, 9.903126469607294, 27.218646815906613),
    (58, 44.04183168024975, 74.97844974469457), (240, 210.594328093381, 272.3626254288974),
    (1204, 1136.943842920014, 1273.9785886569628), (33029, 32673.746548246138, 33387.15314573875),
  ])
  func poissonRates(count: Int, lower: Double, upper: Double) {
    let bounds = PoissonRate.exact(count, in: 1)
    #expect(isNear(bounds.lower, lower), "\(count): \(bounds.lower)")
    #expect(isNear(bounds.upper, upper), "\(count): \(bounds.upper)")
  }

  /// `fbeta_score` for β = 1, 2 and 0.5, after TP, FP and FN.
  @Test(arguments: [
    ([42, 63, 9], [0.5384615384615384, 0.6796116504854369, 0.445859872611465]),
    ([10, 9, 2], [0.6451612903225806, 0.746268656716418, 0.5681818181818182]),
    ([20, 21, 4], [0.6153846153846154, 0.7299270072992701, 0.5319148936170213]),
    ([30, 13, 10], [0.7228915662650602, 0.7389162561576355, 0.7075471698113207]),
    ([63, 22, 21], [0.7455621301775148, 0.7482185273159145, 0.7429245283018868]),
    ([68, 29, 36], [0.6766169154228856, 0.6627680311890838, 0.6910569105691057]),
  ])
  func scores(counts: [Int], expected: [Double]) {
    for (beta, value) in zip([1, 2, 0.5], expected) {
      let found = DetectionScore.fBeta(
        beta, truePositives: counts[0], falsePositives: counts[1], falseNegatives: counts[2])
      #expect(isNear(found ?? -1, value), "beta \(beta)")
    }
  }

  /// A prediction an hour; the hour of sepsis, which is six after the scorer's first label; the sum, and the best one.
  @Test(
    arguments: [
      ("00101001100", 8, -2.5555555555555554, 6.5), ("0100000000010000000000000001000000000101", nil, -0.25, 0.0),
      ("11000011000000001000000000110000010000", 27, -6.811111111111111, 7.5),
      ("01101011100", 14, 2.116666666666667, 5.166666666666667), ("00110", 6, 0.3333333333333335, 3.8888888888888884),
      ("0001010110000111010111000110010110000000100", 48, -0.1333333333333333, 3.5000000000000004),
      ("111111", nil, -0.3, 0.0), ("00000000100001110011100110010101000", 14, -3.9999999999999996, 7.5),
      ("00000000000", 7, -10.0, 5.833333333333333), ("010010000111110011", 18, 3.677777777777778, 6.833333333333334),
      ("01001000010101110", nil, -0.35, 0.0),
      ("11110001001011110010011111110111111", 38, 4.033333333333333, 5.166666666666667),
      ("000000000000000", 20, 0.0, 3.5000000000000004),
      ("0011000000110101001101101000", 22, -0.9333333333333329, 7.5),
      ("0000100011", 11, 1.3888888888888893, 6.388888888888889),
      ("000110000100101000000000000000", 31, -2.472222222222222, 6.388888888888889),
    ] as [(String, Int?, Double, Double)])
  func utility(predictions: String, onset: Int?, sum: Double, best: Double) {
    let found = SepsisUtility.sum(onset: onset, predictions: predictions.map { $0 == "1" })
    #expect(isNear(found, sum), "\(found), not \(sum)")
    let most = SepsisUtility.bestSum(onset: onset, hours: predictions.count)
    #expect(isNear(most, best), "\(most), not \(best)")
  }
}
