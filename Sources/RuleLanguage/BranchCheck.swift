import VitalModel
import YAMLText

struct BranchCheck {
  let rule: RuleDefinition
  let conditions: RuleConditions
  let registry: VitalRegistry
  let scores: [ScoreDefinition]
  func run(_ problems: inout Problems) {}
}
