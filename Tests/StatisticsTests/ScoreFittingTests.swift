import Testing
import VitalModel

@testable import Statistics

/// A ward with a planted signal: `pulse` high and `temp` at both ends go before an event, `clock` only tells the hour.
private struct PlantedWard {
  static let hours = 48
  var patients: [Int32] = []
  var hoursOfStay: [Int32] = []
  var truths: [ScoreFittingRows.Truth] = []
  var pulse: [Int32] = []
  var pressure: [Int32] = []
  var temperature: [Int32] = []
  var clock: [Int32] = []
  var noise: [Int32] = []

  init(patients count: Int, seed: UInt64) {
    var draw = Resampler(seed: seed)
    for patient in 0..<count {
      let onset = patient % 3 == 0 ? 24 + draw.index(below: 20) : nil
      for hour in 0..<PlantedWard.hours {
        let isIll = onset.map { $0 - 12 <= hour && hour <= $0 + 3 } ?? false
        patients.append(Int32(patient))
        hoursOfStay.append(Int32(hour))
        truths.append(isIll ? .positive : onset.map { hour > $0 + 3 } ?? false ? .leftOut : .negative)
        pulse.append(Int32(70 + draw.index(below: 31) + (isIll && draw.index(below: 4) > 0 ? 25 : 0)))
        pressure.append(Int32(110 + draw.index(below: 41) - (isIll && draw.index(below: 3) > 0 ? 30 : 0)))
        let swing = isIll && draw.index(below: 2) == 0 ? (draw.index(below: 2) == 0 ? 15 : -15) : 0
        temperature.append(
          draw.index(below: 5) == 0 ? ScoreFittingInput.unknown : Int32(365 + draw.index(below: 11) + swing))
        clock.append(Int32(hour))
        noise.append(Int32(draw.index(below: 100)))
      }
    }
  }

  /// Every patient's own truths, changed where asked.
  func rows(flipping isFlipped: (Int) -> Bool = { _ in false }) -> ScoreFittingRows {
    let truths = zip(patients, truths).map { patient, truth in
      isFlipped(Int(patient)) ? (truth == .positive ? .negative : .positive) : truth
    }
    return ScoreFittingRows(
      patients: patients, hours: hoursOfStay, truths: truths,
      inputs: [
        ScoreFittingInput(name: "clock", trend: .rising, values: clock),
        ScoreFittingInput(name: "noise", trend: .either, values: noise),
        ScoreFittingInput(name: "pulse", trend: .rising, values: pulse),
        ScoreFittingInput(name: "pressure", trend: .falling, values: pressure),
        ScoreFittingInput(name: "temperature", trend: .either, values: temperature),
      ])
  }
}

struct ScoreFittingTests {
  private let ward = PlantedWard(patients: 90, seed: 7)

  private func names(_ fit: ScoreFitting, _ rows: ScoreFittingRows) -> Set<String> {
    Set(fit.items.map { rows.inputs[$0.input].name })
  }

  @Test func findsWhatIsPlantedAndNeitherNoiseNorTheClock() {
    let rows = ward.rows()
    var options = ScoreFitting.Options()
    options.balance = 1
    let fit = ScoreFitting(rows, options: options) { _ in true }
    #expect(names(fit, rows) == ["pulse", "pressure", "temperature"])
    #expect(fit.events == 30)
    #expect(fit.gain > 5)
  }

  @Test func pointsRunAsTold() throws {
    let rows = ward.rows()
    let fit = ScoreFitting(rows) { _ in true }
    for item in fit.items {
      let points = item.bands.map(\.points)
      switch rows.inputs[item.input].trend {
      case .rising: #expect(points == points.sorted() && points.first == 0)
      case .falling: #expect(points == points.sorted(by: >) && points.last == 0)
      case .either:
        let lowest = try #require(points.firstIndex(of: 0))
        #expect(Array(points[...lowest]) == points[...lowest].sorted(by: >))
        #expect(Array(points[lowest...]) == points[lowest...].sorted())
        #expect(points.count > 2)
      }
      #expect(item.bands.count <= 5)
      #expect(item.bands.last?.upTo == .max)
      #expect(points.allSatisfy { (0...6).contains($0) })
      #expect(item.points(ScoreFittingInput.unknown) == 0)
    }
  }

  @Test func neverSeesPatientsItIsNotFittedOn() {
    let isMember = { (patient: Int) in patient % 5 != 0 }
    let fit = ScoreFitting(ward.rows(), isMember: isMember)
    let other = ScoreFitting(ward.rows { !isMember($0) }, isMember: isMember)
    #expect(fit.items == other.items)
    #expect(fit.gain == other.gain)
    #expect(ScoreFitting(ward.rows { isMember($0) && $0 < 40 }, isMember: isMember).gain != fit.gain)
  }

  @Test func keepsToItsLimits() {
    var options = ScoreFitting.Options()
    options.itemsMax = 2
    options.bandsMax = 2
    options.pointsMax = 3
    let fit = ScoreFitting(ward.rows(), options: options) { _ in true }
    #expect(fit.items.count == 2)
    #expect(fit.items.allSatisfy { $0.bands.count == 2 })
    #expect(fit.most <= 6)
  }

  @Test func bandsEndWhereGivenEdgesAllow() {
    var inputs = ward.rows().inputs
    inputs[2].edges = [80, 100, 120]
    let rows = ScoreFittingRows(
      patients: ward.patients, hours: ward.hoursOfStay, truths: ward.truths, inputs: inputs)
    let fit = ScoreFitting(rows) { _ in true }
    let pulse = fit.items.first { $0.input == 2 }
    #expect(pulse != nil)
    #expect(pulse?.bands.dropLast().allSatisfy { [80, 100, 120].contains($0.upTo) } == true)
  }

  /// One item of two bands would give no point or one: nothing lies between for a limit.
  @Test func aScoreOfOneStepHasTwoPoints() {
    let values = zip(ward.patients, ward.truths).map { Int32($1 == .positive && $0 % 2 == 0 ? 1 : 0) }
    let rows = ScoreFittingRows(
      patients: ward.patients, hours: ward.hoursOfStay, truths: ward.truths,
      inputs: [ScoreFittingInput(name: "flag", trend: .rising, values: values, edges: [0])])
    let fit = ScoreFitting(rows) { _ in true }
    #expect(fit.items.count == 1 && fit.most >= 2)
    #expect(fit.items.first?.bands.map(\.points).first == 0)
    var options = ScoreFitting.Options()
    options.pointsMax = 1
    #expect(ScoreFitting(rows, options: options) { _ in true }.most == 1)
  }

  @Test func withoutAnEventThereIsNoScore() {
    let rows = ScoreFittingRows(
      patients: ward.patients, hours: ward.hoursOfStay, truths: ward.truths.map { _ in .negative },
      inputs: ward.rows().inputs)
    let fit = ScoreFitting(rows) { _ in true }
    #expect(fit.items.isEmpty)
    #expect(fit.most == 0)
    #expect(Set(fit.totals(rows)) == [0])
  }

  @Test func negativesOfAnHourWeighWhatItsPositivesWeigh() {
    let rows = ward.rows()
    let balanced = BalancedRows(rows, balance: 1) { _ in true }
    var (positive, negative) = ([Double](repeating: 0, count: 48), [Double](repeating: 0, count: 48))
    for (place, row) in balanced.rows.enumerated() {
      let hour = Int(rows.hours[Int(row)])
      if balanced.isPositive[place] {
        positive[hour] += balanced.weights[place]
      } else {
        negative[hour] += balanced.weights[place]
      }
    }
    #expect(abs(positive.reduce(0, +) - 30) < 1e-9)
    #expect(abs(negative.reduce(0, +) - 30) < 1e-9)
    // The first positive hour is the twelfth; a stretch of 200 negatives is at most four hours here.
    #expect(balanced.rows.allSatisfy { rows.hours[Int($0)] >= 8 })
  }

  @Test func rowsAreJudgedAsAlertsAre() throws {
    let hour: Int64 = 3_600_000
    let stay = WatchedStay(PatientWatch(patient: 0, unit: nil, spans: [0..<40 * hour]), interval: hour)
    let labels = try LabelSet(
      LabelTable("patient_id,onset_time_s,label\nb,72000,sepsis\nc,1000000,sepsis\n", file: "l.csv", epoch: 0),
      LabelSelection())
    let cohort = EvaluationCohort(stays: [stay, stay, stay], labels: labels) {
      ["a": 0, "b": 1, "c": 2][$0]
    }
    var convention = EvaluationConvention()
    convention.lead = 12 * hour
    convention.grace = 3 * hour
    let times: [Int64] = [7, 8, 20, 23, 24].map { $0 * hour }
    let rows = ScoreFittingRows(
      cohort, convention, patients: [Int32](repeating: 1, count: 5) + [0, 2], times: times + [20 * hour, 20 * hour],
      inputs: [])
    #expect(rows.truths == [.negative, .positive, .positive, .positive, .leftOut, .negative, .leftOut])
    #expect(rows.hours == [7, 8, 20, 23, 24, 20, 20])
  }
}

struct BandCutTests {
  private let terms = BandCut.Terms(bandsMax: 5, price: 0.1, ridge: 0, shareMin: 0)

  private func cut(_ values: [Double], _ trend: ScoreTrend, bandsMax: Int = 5) -> BandCut {
    var terms = terms
    terms.bandsMax = bandsMax
    return BandCut(
      BandCut.Wanted(slopes: values.map { $0 * 10 }, curves: values.map { _ in 10 }), trend: trend, terms)
  }

  @Test func cutsWhereTheStepsAre() {
    let found = cut([0, 0, 0, 1, 1, 3, 3], .rising)
    #expect(found.starts == [0, 3, 5])
    #expect(found.values == [0, 1, 3])
  }

  @Test func aTrendIsNeverBroken() {
    #expect(cut([3, 2, 1, 0], .rising).starts == [0])
    #expect(cut([3, 2, 1, 0], .falling).starts == [0, 1, 2, 3])
    #expect(cut([2, 0, 0, 3], .either).starts == [0, 1, 3])
    // A hill is no valley.
    #expect(cut([0, 3, 3, 0], .either).starts.count == 2)
  }

  @Test func isTheBestOfAllCutsThatAreAllowed() {
    var draw = Resampler(seed: 3)
    for _ in 0..<20 {
      let values = (0..<8).map { _ in Double(draw.index(below: 100)) / 50 - 1 }
      for trend in ScoreTrend.allCases {
        let found = cut(values, trend, bandsMax: 3)
        #expect(abs(found.gain - bestByTrying(values, trend)) < 1e-9)
      }
    }
  }

  /// Every cut into at most three bands.
  private func bestByTrying(_ values: [Double], _ trend: ScoreTrend) -> Double {
    func mean(_ range: Range<Int>) -> Double { values[range].reduce(0, +) / Double(range.count) }
    func worth(_ range: Range<Int>) -> Double { 10 * Double(range.count) * mean(range) * mean(range) }
    var best = 0.0
    for first in 1..<values.count {
      for second in first..<values.count {
        let ranges = [0..<first, first..<second, second..<values.count].filter { !$0.isEmpty }
        let means = ranges.map(mean)
        let ups = zip(means, means.dropFirst()).map { $1 > $0 }
        let isAllowed =
          switch trend {
          case .rising: ups.allSatisfy { $0 }
          case .falling: !ups.contains(true)
          case .either: !zip(ups, ups.dropFirst()).contains { $0 && !$1 }
          }
        guard isAllowed else { continue }
        let gain = (ranges.reduce(0) { $0 + worth($1) } - worth(0..<values.count)) / 2
        best = max(best, gain - 0.1 * Double(ranges.count - 1))
      }
    }
    return best
  }
}
