/// Scores of one table of counts, each as its own community defines it (CLINICAL.md 4.3, 4.4).
package enum DetectionScore {
  /// F-beta: (1 + β²) TP ÷ ((1 + β²) TP + β² FN + FP) (van Rijsbergen 1979).
  ///
  /// - Returns: nil where nothing was there to find and nothing was found.
  package static func fBeta(_ beta: Double, truePositives: Int, falsePositives: Int, falseNegatives: Int) -> Double? {
    let square = beta * beta
    let found = (1 + square) * Double(truePositives)
    let whole = found + square * Double(falseNegatives) + Double(falsePositives)
    return whole > 0 ? found / whole : nil
  }

  /// Net benefit at a threshold probability p: TP ÷ n − FP ÷ n × p ÷ (1 − p) (Vickers and Elkin 2006).
  ///
  /// - Parameter threshold: how likely an event must be for an alert to be worth it, above 0 and below 1.
  /// - Returns: nil of nobody, or with a threshold outside.
  package static func netBenefit(
    truePositives: Int, falsePositives: Int, of count: Int, threshold: Double
  ) -> Double? {
    guard count > 0, threshold > 0, threshold < 1 else { return nil }
    let n = Double(count)
    return Double(truePositives) / n - Double(falsePositives) / n * threshold / (1 - threshold)
  }

  /// Of the PhysioNet/CinC Challenge 2015: 100 × (TP + TN) ÷ (TP + TN + FP + 5 FN).
  package static func cinc2015(
    truePositives: Int, falsePositives: Int, falseNegatives: Int, trueNegatives: Int
  ) -> Double? {
    let right = Double(truePositives + trueNegatives)
    let whole = right + Double(falsePositives) + 5 * Double(falseNegatives)
    return whole > 0 ? 100 * right / whole : nil
  }

  /// Alerts somebody must look at for one that was true: 1 ÷ PPV.
  package static func numberNeededToEvaluate(_ predictiveValue: Double) -> Double? {
    predictiveValue > 0 ? 1 / predictiveValue : nil
  }
}

/// The utility of the PhysioNet/CinC Challenge 2019: what a prediction an hour is worth, from twelve hours before sepsis to
/// three after (Reyna et al. 2019; the constants are those of its official scorer).
package enum SepsisUtility {
  static let earliest = -12
  static let best = -6
  static let latest = 3
  static let falseAlarm = -0.05
  static let missed = -2.0

  /// Sum over a patient's hours.
  ///
  /// - Parameters:
  ///   - onset: hour of sepsis, 0 the first; nil: the patient never had it. The scorer's labels begin six hours before it.
  ///   - predictions: one an hour.
  package static func sum(onset: Int?, predictions: [Bool]) -> Double {
    var sum = 0.0
    for (hour, isPredicted) in predictions.enumerated() { sum += value(hour, onset, isPredicted) }
    return sum
  }

  /// What the best possible predictions sum to: yes from twelve hours before until three after.
  package static func bestSum(onset: Int?, hours: Int) -> Double {
    guard let onset else { return 0 }
    return sum(onset: onset, predictions: (0..<hours).map { onset + earliest <= $0 && $0 <= onset + latest })
  }

  private static func value(_ hour: Int, _ onset: Int?, _ isPredicted: Bool) -> Double {
    guard let onset else { return isPredicted ? falseAlarm : 0 }
    let lead = Double(hour - onset)
    guard hour <= onset + latest else { return 0 }
    let span = Double(latest - best)
    if isPredicted {
      guard hour > onset + best else { return max((lead - Double(earliest)) / Double(best - earliest), falseAlarm) }
      return (Double(latest) - lead) / span
    }
    return hour > onset + best ? missed * (lead - Double(best)) / span : 0
  }
}
