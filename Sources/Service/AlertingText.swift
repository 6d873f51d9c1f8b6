import Foundation
import VitalModel

/// Alerting settings as the journal keeps them: JSON, keys sorted, so that equal settings are equal bytes.
///
/// Durations are milliseconds. A setting the text does not have, written before there was such a setting, is the default.
package enum AlertingText {
  /// The settings as JSON.
  package static func encode(_ settings: AlertingSettings) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Strings, whole numbers and booleans only: nothing in it can be refused.
    return (try? encoder.encode(Stored(settings))).map(Array.init) ?? []
  }

  /// - Returns: nil if the bytes are not settings.
  package static func decode(_ bytes: [UInt8]) -> AlertingSettings? {
    (try? JSONDecoder().decode(Stored.self, from: Data(bytes)))?.settings
  }

  private struct Stored: Codable {
    struct Flap: Codable {
      var count: Int
      var within: Int64
      var quiet: Int64
    }
    struct Outage: Codable {
      var patients: Int
      var within: Int64
    }
    struct Budget: Codable {
      var patient: Int
      var unit: Int
    }
    struct Step: Codable {
      var after: Int64
      var to: String
    }
    struct Ladder: Codable {
      var priorities: [String]
      var units: [String]
      var steps: [Step]
    }

    var latch: [String]?
    var realarm: [String: Int64]?
    var flap: Flap?
    var grouping: Int64?
    var budget: Budget?
    var outage: Outage?
    var adaptive: Bool?
    var escalation: [Ladder]?

    init(_ settings: AlertingSettings) {
      latch = settings.latching.sorted().map(\.text)
      realarm = Dictionary(uniqueKeysWithValues: settings.realarm.map { ($0.key.text, $0.value) })
      flap = Flap(count: settings.flap.count, within: settings.flap.within, quiet: settings.flap.quiet)
      grouping = settings.groupingWindow
      budget = Budget(patient: settings.patientBudget, unit: settings.unitBudget)
      outage = Outage(patients: settings.outagePatients, within: settings.outageWithin)
      adaptive = settings.isAdaptive
      escalation = settings.ladders.map { ladder in
        Ladder(
          priorities: ladder.priorities.map(\.text), units: ladder.units,
          steps: ladder.steps.map { Step(after: $0.after, to: $0.to) })
      }
    }

    var settings: AlertingSettings {
      var settings = AlertingSettings()
      if let latch { settings.latching = Set(latch.compactMap(Priority.init(text:))) }
      if let realarm {
        settings.realarm = [:]
        for (name, after) in realarm {
          if let priority = Priority(text: name) { settings.realarm[priority] = after }
        }
      }
      if let flap { settings.flap = FlapSettings(count: flap.count, within: flap.within, quiet: flap.quiet) }
      settings.groupingWindow = grouping ?? settings.groupingWindow
      settings.patientBudget = budget?.patient ?? settings.patientBudget
      settings.unitBudget = budget?.unit ?? settings.unitBudget
      settings.outagePatients = outage?.patients ?? settings.outagePatients
      settings.outageWithin = outage?.within ?? settings.outageWithin
      settings.isAdaptive = adaptive ?? settings.isAdaptive
      settings.ladders = (escalation ?? []).map { ladder in
        EscalationLadder(
          priorities: ladder.priorities.compactMap(Priority.init(text:)), units: ladder.units,
          steps: ladder.steps.map { EscalationStep(after: $0.after, to: $0.to) })
      }
      return settings
    }
  }
}
