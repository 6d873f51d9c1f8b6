import VitalModel

extension FeedbackReport {
  /// One JSON object; keys and their meaning stay as they are (docs/feedback.md).
  ///
  /// - Parameter name: a patient's id; nil: no patient is named, and `by_patient` is left out.
  package func write(to out: inout JSONText, name: ((UInt32) -> String)? = nil) {
    out.object { out in
      out.field("from", Timestamp.format(range.lowerBound))
      out.field("to", Timestamp.format(range.upperBound))
      out.field("simulated", isSimulated)
      out.object("intervals") {
        $0.field("confidence", 1 - Interval.alpha)
        $0.field("resamples", PatientBootstrap.resamples)
        $0.field("seed", String(options.seed))
      }
      out.object("patient_days") {
        $0.field("value", patientDays)
        $0.field("patients", patients)
        $0.field("source", watchSource.rawValue)
      }
      out.object("total") { total.writeFields(to: &$0) }
      for (key, rows) in [("by_rule", rules), ("by_unit", units), ("by_week", weeks)] {
        out.array(key) { list in for row in rows { list.object { row.write(to: &$0, name: nil) } } }
      }
      if let name {
        out.array("by_patient") { list in for row in byPatient { list.object { row.write(to: &$0, name: name) } } }
      }
      writeShifts(to: &out)
      write("time_to_accept", accept, to: &out)
      write("time_to_acknowledge", acknowledge, to: &out)
      writeConcentration(to: &out)
      out.array("held") { list in
        for count in held {
          list.object {
            $0.field("stage", count.stage.rawValue)
            $0.field("rule", count.rule)
            $0.field("count", count.count)
          }
        }
      }
    }
  }

  private func writeShifts(to out: inout JSONText) {
    out.object("shifts") { out in
      out.field("length_s", Int(options.shift / 1000))
      out.field("patients_per_nurse", options.patientsPerNurse)
      out.array("units") { list in
        for figures in shifts {
          list.object {
            $0.field("unit", figures.unit)
            $0.field("shifts", figures.shifts)
            $0.field("alerts", figures.alerts)
            $0.field("per_shift", figures.perShift)
            $0.field("per_nurse", figures.perNurse)
            $0.field("busiest", figures.busiest)
            $0.field("busiest_start", figures.busiestStart.map(Timestamp.format))
          }
        }
      }
    }
  }

  private func write(_ key: String, _ figures: [ResponseFigures], to out: inout JSONText) {
    out.array(key) { list in
      for figure in figures {
        list.object {
          $0.field("priority", figure.priority?.text ?? "all")
          $0.field("alerts", figure.alerts)
          $0.field("answered", figure.answered)
          $0.field("median_s", figure.median.map { Double($0) / 1000 })
          $0.field("p90_s", figure.p90.map { Double($0) / 1000 })
        }
      }
    }
  }

  private func writeConcentration(to out: inout JSONText) {
    out.object("concentration") { out in
      out.field("patients", concentration.patients)
      out.field("top", concentration.top)
      out.field("top_share", concentration.topShare)
      out.array("ranks") { list in
        for (index, rank) in concentration.ranks.enumerated() {
          list.object {
            $0.field("rank", index + 1)
            $0.field("alerts", rank.alerts)
            $0.field("share", rank.share)
            $0.field("cumulative", rank.cumulative)
          }
        }
      }
    }
  }
}

extension FeedbackRow {
  fileprivate func write(to out: inout JSONText, name: ((UInt32) -> String)?) {
    switch key {
    case .all: break
    case .rule(let id, let version, let title):
      out.field("rule", id)
      out.field("version", version)
      out.field("title", title)
    case .unit(let unit): out.field("unit", unit)
    case .week(let week): out.field("week", week.text)
    case .patient(let number): out.field("patient", name?(number))
    }
    writeFields(to: &out)
  }

  fileprivate func writeFields(to out: inout JSONText) {
    out.field("alerts", alerts)
    out.field("patients", patients)
    out.field("notifications", notifications)
    out.field("realarms", realarms)
    out.field("escalations", escalations)
    out.field("patient_days", patientDays)
    out.field("per_patient_day", burden?.value)
    (burden?.interval).write("per_patient_day_interval", to: &out)
    out.field("acknowledged", acknowledged)
    out.field("labelled", labelled)
    out.field("actionable", actionable)
    out.field("not_relevant", notRelevant)
    out.field("false", isFalse)
    out.field("unlabelled_share", unlabelledShare)
    out.field("labelled_patients", predictiveValue?.patients)
    out.field("ppv", predictiveValue?.value)
    (predictiveValue?.interval).write("ppv_interval", to: &out)
  }
}

extension Interval? {
  fileprivate func write(_ key: String, to out: inout JSONText) {
    guard let self else { return out.null(key) }
    out.object(key) {
      $0.field("lower", self.lower)
      $0.field("upper", self.upper)
      $0.field("method", self.method.rawValue)
    }
  }
}
