import Evaluation
import VitalModel

/// Which outcomes of a rule's conditions its tests saw.
package struct RuleCoverage: Sendable {
  /// One comparison, fact or group of them, and what it was seen to be.
  package struct Condition: Sendable {
    package var part: RulePart
    package var text: String
    package var line: Int
    package var sawYes = false
    package var sawNo = false
  }

  package var conditions: [Condition] = []

  package var outcomes: Int { conditions.count * 2 }
  package var seen: Int { conditions.reduce(0) { $0 + ($1.sawYes ? 1 : 0) + ($1.sawNo ? 1 : 0) } }
  package var uncovered: [Condition] { conditions.filter { !$0.sawYes || !$0.sawNo } }

  /// Runs the tests of a rule and looks at every condition after every tick, and after deadlines between samples.
  ///
  /// `when`, `bypass` and `raise` are looked at while the rule applies to the patient, `clear` while there is something to
  /// clear: an outcome nobody asked for does not count.
  static func measure(_ bench: RuleBench) -> RuleCoverage {
    let words = ProgramWords(rule: bench.rule, plan: bench.plan)
    var coverage = RuleCoverage()
    var items: [RuleProbe.Item] = []
    for part in RulePart.all(of: bench.rule) {
      guard let tree = part.tree(of: bench.rule) else { continue }
      for condition in tree.conditions {
        // The same condition twice in one part is one condition.
        let text = words.text(condition)
        if coverage.conditions.contains(where: { $0.part == part && $0.text == text }) { continue }
        items.append(RuleProbe.Item(tree: condition, forClear: part == .clear))
        coverage.conditions.append(
          Condition(part: part, text: text, line: bench.file.keyLines[part.key] ?? bench.file.line))
      }
    }
    let probe = RuleProbe(bench: bench, items: items)
    for run in bench.runs {
      probe.run(run) { coverage.note($0) }
    }
    return coverage
  }

  private mutating func note(_ moment: RuleProbe.Moment) {
    let applies = moment.applies != .no
    for subject in moment.subjects {
      for index in conditions.indices where !conditions[index].sawYes || !conditions[index].sawNo {
        switch conditions[index].part {
        case .applies: break
        case .clear where !moment.held: continue
        case .raise where !moment.held: continue
        case .supported where !moment.isAlarm, .unsupported where !moment.isAlarm: continue
        default: if !applies { continue }
        }
        switch Truth(moment.value(index, subject: subject)) {
        case .yes: conditions[index].sawYes = true
        case .no: conditions[index].sawNo = true
        case .unknown: break
        }
      }
    }
  }
}
