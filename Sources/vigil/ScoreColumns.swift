import Evaluation
import VitalModel

/// What the columns of a table mean to one score, and what a row says.
struct ScoreColumns {
  enum Role: Hashable {
    case patient, time, oxygen, scale, ageYears, ageMonths
    case vital(VitalCode, unit: Int)
    /// Not understood: passed through.
    case other
  }

  /// A cell that cannot be used; its input counts as missing.
  struct BadCell {
    var column: String
    var why: String
  }

  /// What one row says.
  struct Facts {
    var values: [VitalCode: Int64] = [:]
    var circumstances = ScoreCalculator.Circumstances()
    var patient: String?
    /// As JSON.
    var time: String?
    var bad: [BadCell] = []
  }

  static let scaleFlag = "spo2-scale-2"

  let score: ScoreDefinition
  let registry: VitalRegistry
  private let codes: Set<VitalCode>
  private let asksAge: Bool
  private let oxygen: ScoreComponent?

  init(_ score: ScoreDefinition, registry: VitalRegistry) {
    self.score = score
    self.registry = registry
    codes = Set(score.codes)
    asksAge = score.asksAge
    oxygen = score.components.first(where: \.isOxygen)
  }

  func role(_ column: String) -> Role {
    switch column.lowercased() {
    case "patient", "patient_id": return .patient
    case "time", "time_s": return .time
    case "scale" where score.flags.contains(ScoreColumns.scaleFlag): return .scale
    case "oxygen" where oxygen != nil: return .oxygen
    case "age_years" where asksAge: return .ageYears
    case "age_months" where asksAge: return .ageMonths
    default: break
    }
    guard let found = registry.lookup(column), codes.contains(found.code) else { return .other }
    return .vital(found.code, unit: max(0, found.unit))
  }

  /// The keys a row may give, for messages.
  var inputKeys: [String] {
    score.codes.map { registry[$0].key } + (oxygen == nil ? [] : ["oxygen"])
      + (score.flags.contains(ScoreColumns.scaleFlag) ? ["scale"] : []) + (asksAge ? ["age_years", "age_months"] : [])
  }

  func read(_ cells: [ScoreCell], roles: (String) -> Role) -> Facts {
    var facts = Facts()
    var isScaleUnknown = false
    var oxygenCell: (column: String, isOn: Bool)?
    var years: (column: String, months: Int)?
    var sources: [VitalCode: String] = [:]
    for cell in cells {
      guard let text = cell.text else { continue }
      func bad(_ why: String) { facts.bad.append(BadCell(column: cell.column, why: why)) }
      switch roles(cell.column) {
      case .other: continue
      case .patient: facts.patient = text
      case .time: facts.time = cell.json
      case .scale:
        if text == "2" {
          facts.circumstances.flags.insert(ScoreColumns.scaleFlag)
        } else if text != "1" {
          bad("`\(text)` is not a scale: 1 or 2")
          isScaleUnknown = true
        }
      case .oxygen:
        switch text.lowercased() {
        case "1", "true", "1.0": oxygenCell = (cell.column, true)
        case "0", "false", "0.0": oxygenCell = (cell.column, false)
        default: bad("`\(text)` does not say whether oxygen is given: 0 or 1")
        }
      case .ageYears:
        guard let age = DecimalValue(text), age.mantissa >= 0, age.double <= 130 else {
          bad("`\(text)` is not an age in years from 0 to 130")
          continue
        }
        years = (cell.column, PatientFacts.completedMonths(ofYears: age))
      case .ageMonths:
        guard let age = DecimalValue(text), age.mantissa >= 0, age.double <= 1560 else {
          bad("`\(text)` is not an age in months from 0 to 1560")
          continue
        }
        facts.circumstances.ageMonths = Int(age.double)
      case .vital(let code, let unit):
        if let first = sources[code] {
          bad("`\(first)` gives the same vital already")
          continue
        }
        sources[code] = cell.column
        switch value(text, code, unit) {
        case .grid(let grid): facts.values[code] = grid
        case .refused(let why): bad(why)
        }
      }
    }
    settleAge(years, &facts)
    if isScaleUnknown { for code in scaledCodes { facts.values[code] = nil } }
    if let oxygenCell { settleOxygen(oxygenCell, &facts) }
    return facts
  }

  /// Vitals judged by a column the scale decides: unknown where the scale is.
  private var scaledCodes: [VitalCode] {
    score.components.filter { $0.variants.contains { $0.flag == ScoreColumns.scaleFlag } }.flatMap(\.codes)
  }

  private func settleAge(_ years: (column: String, months: Int)?, _ facts: inout Facts) {
    guard let years else { return }
    if let months = facts.circumstances.ageMonths, months / 12 != years.months / 12 {
      facts.bad.append(
        BadCell(column: years.column, why: "\(years.months / 12) years beside \(months) months: give one of them"))
      facts.circumstances.ageMonths = nil
    } else if facts.circumstances.ageMonths == nil {
      facts.circumstances.ageMonths = years.months
    }
  }

  /// `oxygen` stands for a flow that is not known: none, or the least there is.
  private func settleOxygen(_ cell: (column: String, isOn: Bool), _ facts: inout Facts) {
    guard case .oxygen(let codes)? = oxygen?.input, let flow = codes.first(where: { registry[$0].unit != "%" }) else {
      return
    }
    let flowing = facts.values[flow].map { $0 > 0 }
    if let flowing, flowing != cell.isOn {
      let key = registry[flow].key
      facts.bad.append(
        BadCell(column: cell.column, why: "\(cell.isOn ? 1 : 0) contradicts `\(key)`: give one of them"))
      return
    }
    if flowing == nil { facts.values[flow] = cell.isOn ? 1 : 0 }
  }

  private enum Reading {
    case grid(Int64)
    case refused(String)
  }

  /// As the service would take it: what it would put in quarantine is refused here.
  private func value(_ text: String, _ code: VitalCode, _ unit: Int) -> Reading {
    let vital = registry[code]
    if !vital.letters.isEmpty {
      if let letter = vital.letters.first(where: { $0.text.lowercased() == text.lowercased() }) {
        return .grid(letter.value)
      }
      return .refused("`\(text)` is none of \(vital.letters.map(\.text).joined(separator: ", "))")
    }
    guard let number = DecimalValue(text) else { return .refused("`\(text)` is not a number") }
    guard let grid = vital.gridValue(number, unitIndex: unit) else { return .refused("`\(text)` is out of all range") }
    let canonical = vital.decimal(grid: grid)
    guard canonical.double >= vital.rejectBelow.double, canonical.double <= vital.rejectAbove.double else {
      return .refused("\(canonical) \(vital.unit) is outside \(vital.rejectBelow) to \(vital.rejectAbove)")
    }
    if grid == 0, vital.zeroSources != nil {
      return .refused("0 is a lost signal unless its source can see it; leave the cell empty")
    }
    return .grid(grid)
  }
}
