// Package fakeoffer writes offer files of EC2 as AWS's Price List bulk API serves them, of any size.
//
// The contents are made up. The shape is AWS's: attributes, their names and values, order and layout, and some fifty ways in
// which an instance type is sold, of which an autoscaler wants one ("Reading the service price list file for an AWS service"
// in the AWS Billing User Guide, and published excerpts, read 2026-08). Files are written as streams. The package owns the
// made-up contents. It must not import pricing, so that it cannot share the reader's mistakes.
package fakeoffer
