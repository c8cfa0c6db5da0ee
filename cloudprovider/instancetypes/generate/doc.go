// Command generate writes the table of instance types that package instancetypes embeds.
//
//	go run ./cloudprovider/instancetypes/generate                                   # check and re-format the table
//	go run ./cloudprovider/instancetypes/generate -dump us-east-1.json [FILE…]      # output of the AWS CLI
//	go run ./cloudprovider/instancetypes/generate -types types.csv -measured m.csv -source TEXT -date 2026-08-02
//
// With -dump, the types of the files replace types of the present table or join them. Facts that EC2 does not publish (measured
// memory, pod interfaces) stay. Types that the dumps lack stay as well, for no region has all, unless -only is given. A dump
// comes from: aws ec2 describe-instance-types --output json
//
// Without -dump and -types it starts from the present table, so running it twice changes nothing. With -measured, each type's
// measured memory becomes the smallest of the readings. Types without a reading keep none. The code that reads an input lists
// its columns. The table is written only if it parses again.
//
// The command owns the edits of the table. Package instancetypes only reads it.
package main
