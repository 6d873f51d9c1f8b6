import VitalModel

extension EvaluationReport {
  /// Of ``write(to:name:)``: raised when a field changes its meaning or goes, not when one is added.
  package static let documentVersion = 1

  /// One JSON object; its fields are those of docs/formats/evaluation.md and stay as they are.
  ///
  /// - Parameter name: a patient's id by position; nil: no patient is named, and `per_patient` is null.
  package func write(
    to out: inout JSONText, name: ((Int) -> String)? = nil, curve: SettingCurve? = nil,
    more: (inout JSONText) -> Void = { _ in }
  ) {
    out.object { out in
      out.field("document", "vigil-evaluation")
      out.field("version", EvaluationReport.documentVersion)
      options.convention.write(to: &out)
      exclusions.write(to: &out, kinds: kinds)
      total.writeFields(to: &out, notifications: notifications)
      out.array("per_rule") { list in for row in rules { list.object { row.write(to: &$0) } } }
      out.array("per_priority") { list in for row in priorities { list.object { row.write(to: &$0) } } }
      out.array("subgroups") { list in for row in subgroups { list.object { row.write(to: &$0) } } }
      out.array("per_hour") { list in
        for row in hours {
          list.object {
            $0.field("hour", row.hour)
            $0.field("alerts", row.alerts)
            $0.field("false", row.isFalse)
            $0.field("events", row.events)
          }
        }
      }
      if let name {
        out.array("per_patient") { list in for row in patients { list.object { row.write(to: &$0, name: name) } } }
      } else {
        out.null("per_patient")
      }
      curve?.write(to: &out)
      out.field("data_digest", dataDigest)
      out.field("rules_version", rulesVersion)
      out.field("seed", String(options.seed))
      out.field("resamples", options.resamples)
      out.field("confidence", 1 - Interval.alpha)
      more(&out)
    }
  }
}

extension LabelExclusions {
  /// The field `labels`.
  package func write(to out: inout JSONText, kinds: [String]) {
    out.object("labels") {
      $0.field("kinds", kinds)
      $0.field("excluded", total)
      $0.field("unknown_patient", unknownPatient)
      $0.field("before_first_sample", beforeFirstSample)
      $0.field("after_record", afterRecord)
      $0.field("in_censored", inCensored)
      $0.field("too_short", tooShort)
      $0.field("merged", merged)
    }
  }
}

extension EvaluationConvention {
  func write(to out: inout JSONText) {
    out.object("convention") {
      $0.field("words", words)
      $0.seconds("lead_s", lead)
      $0.seconds("grace_s", grace)
      $0.field("closing", closing.rawValue)
      $0.field("neutral_inside", isNeutralInside)
      $0.seconds("useful_lead_s", usefulLead)
      $0.seconds("window_s", window)
      $0.field("window_truth", windowTruth.rawValue)
    }
  }
}

extension EvaluationRow {
  fileprivate func write(to out: inout JSONText) {
    switch key {
    case .all: break
    case .rule(let rule):
      out.field("rule", rule.id)
      out.field("rule_version", rule.version)
    case .priority(let priority): out.field("priority", priority.text)
    case .subgroup(let column, let value):
      out.field("column", column)
      out.field("value", value)
    }
    writeFields(to: &out, notifications: nil)
  }

  /// - Parameter notifications: of all rules together; nil: not known of this row alone, and left out.
  fileprivate func writeFields(to out: inout JSONText, notifications: Int?) {
    out.object("patients") {
      $0.field("n", patients)
      $0.field("with_event", events.patients)
      $0.field("detected", events.patientsDetected)
      $0.figure("sensitivity", events.patientSensitivity)
      $0.field("patient_days", patientDays)
    }
    out.object("events") {
      $0.field("n", events.count)
      $0.field("detected", events.detected)
      $0.figure("sensitivity", events.sensitivity)
    }
    out.object("alerts") {
      $0.field("n", alerts.count)
      if let notifications { $0.field("notifications", notifications) }
      $0.field("credited", alerts.credited)
      $0.field("repeats", alerts.repeats)
      $0.field("false", alerts.isFalse)
      $0.field("neutral", alerts.neutral)
      $0.field("censored", alerts.censored)
      $0.figure("per_patient_day", alerts.perPatientDay)
      $0.figure("false_per_patient_day", alerts.falsePerPatientDay)
      $0.figure("ppv", alerts.predictiveValue)
      $0.figure("ppv_deduplicated", alerts.predictiveValueOnce)
      $0.figure("number_needed_to_evaluate", alerts.numberNeeded)
    }
    writeLead(to: &out)
    writeChance(to: &out)
    writeWindows(to: &out)
    writeScores(to: &out)
    out.object("average") {
      $0.figure("sensitivity", average.sensitivity)
      $0.figure("ppv", average.predictiveValue)
      $0.figure("per_patient_day", average.perPatientDay)
      $0.figure("specificity", average.specificity)
    }
  }

  private func writeLead(to out: inout JSONText) {
    guard let lead else { return out.null("lead_time_s") }
    out.object("lead_time_s") {
      $0.field("median", lead.median.value / 1000)
      $0.field("p25", lead.p25 / 1000)
      $0.field("p75", lead.p75 / 1000)
      $0.intervals("median_intervals", lead.median.intervals, per: 1000)
      $0.figure("useful_share", lead.usefulShare)
    }
  }

  private func writeChance(to out: inout JSONText) {
    out.object("chance") { out in
      out.field("rotated", chance.rotation?.mean)
      out.field("clock", chance.clock?.sensitivity)
      out.object("matched") {
        $0.field("controls", chance.controls)
        $0.field("events", chance.matched)
        $0.field("events_without", chance.unmatched)
        $0.field("rate", chance.controlRate)
        $0.figure("margin", chance.margin)
      }
      out.field("before_onset", chance.beforeOnset?.value)
      out.intervals("before_onset_intervals", chance.beforeOnset?.intervals ?? [])
      if let rotation = chance.rotation {
        out.object("rotation") {
          $0.field("rotations", rotation.count)
          $0.field("low", rotation.low)
          $0.field("high", rotation.high)
          $0.field("as_good", rotation.asGood)
        }
      } else {
        out.null("rotation")
      }
      if let clock = chance.clock {
        out.array("clock_times_s") { list in for time in clock.times { list.rawElement(JSONText.seconds(time)) } }
      } else {
        out.null("clock_times_s")
      }
    }
  }

  private func writeWindows(to out: inout JSONText) {
    out.object("windows") { out in
      out.field("tp", windows.truePositives)
      out.field("fp", windows.falsePositives)
      out.field("fn", windows.falseNegatives)
      out.field("tn", windows.trueNegatives)
      out.field("censored", windows.censored)
      out.figure("sensitivity", windows.sensitivity)
      out.figure("specificity", windows.specificity)
      out.figure("ppv", windows.predictiveValue)
      out.array("net_benefit") { list in
        for benefit in windows.netBenefit {
          list.object {
            $0.field("threshold", benefit.threshold)
            $0.writeFigure(benefit.figure)
            $0.field("alert_always", benefit.alertAlways)
          }
        }
      }
    }
  }

  private func writeScores(to out: inout JSONText) {
    out.object("scores") {
      $0.figure("f1", scores.f1)
      $0.figure("f2", scores.f2)
      $0.figure("cinc2015", scores.cinc2015)
      $0.field("cinc2015_over", scores.isOverMoments ? "moments" : "windows")
      $0.field("negatives", scores.negatives)
      $0.field("negatives_alerted", scores.negativesAlerted)
      $0.figure("utility2019", scores.utility2019)
    }
  }
}

extension PatientRow {
  fileprivate func write(to out: inout JSONText, name: (Int) -> String) {
    out.field("patient", name(patient))
    out.field("patient_days", patientDays)
    out.field("events", events)
    out.field("detected", detected)
    out.field("alerts", alerts)
    out.field("true", trueAlerts)
    out.field("false", isFalse)
    out.array("leads_s") { list in for lead in leads { list.rawElement(JSONText.seconds(lead)) } }
  }
}

extension JSONText {
  /// Milliseconds as seconds, without a fraction where there is none.
  static func seconds(_ milliseconds: Int64) -> String {
    DecimalValue(mantissa: milliseconds, exponent: -3).normalized.description
  }

  mutating func seconds(_ key: String, _ milliseconds: Int64) { raw(key, JSONText.seconds(milliseconds)) }

  /// `{value, low, high, method, patients, also}`; null where there is no such figure.
  mutating func figure(_ key: String, _ figure: Figure?) {
    guard let figure else { return null(key) }
    object(key) { $0.writeFigure(figure) }
  }

  fileprivate mutating func writeFigure(_ figure: Figure) {
    field("value", figure.value)
    field("low", figure.interval?.lower)
    field("high", figure.interval?.upper)
    field("method", figure.interval?.method.rawValue)
    field("patients", figure.patients)
    intervals("also", Array(figure.intervals.dropFirst()))
  }

  fileprivate mutating func intervals(_ key: String, _ intervals: [Interval], per unit: Double = 1) {
    array(key) { list in
      for interval in intervals {
        list.object {
          $0.field("low", interval.lower / unit)
          $0.field("high", interval.upper / unit)
          $0.field("method", interval.method.rawValue)
        }
      }
    }
  }
}
